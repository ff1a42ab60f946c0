"""Weights: the safetensors file with its header, the store in the user cache, other tools' layouts, downloads."""
