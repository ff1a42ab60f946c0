"""Batch runs over any number of photos, with records: they can be stopped, resumed, sharded and run in parallel."""
