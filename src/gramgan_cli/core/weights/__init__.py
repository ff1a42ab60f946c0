"""Weights: safetensors files with a header, the store in the user's cache, other tools' layouts, downloads."""
