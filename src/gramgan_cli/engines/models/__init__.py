"""Models in the store: list, pull, import, export, interpolate."""
