"""Optimisers, learning-rate schedules and weight averaging."""
