"""Upscaling archives: runs over any number of photos that keep records, can be stopped, joined and divided."""
