"""Image files: decoding to NumPy with all metadata, and encoding."""
