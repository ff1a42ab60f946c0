"""Cutting an image into tiles and assembling the results."""
