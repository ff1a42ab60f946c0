"""Models in the store: list, fetch, import, export, interpolate."""
