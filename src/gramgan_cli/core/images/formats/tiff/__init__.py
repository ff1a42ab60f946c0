"""TIFF: directories, samples, reading and writing (TIFF 6.0)."""
