"""Resizing: MATLAB's bicubic in NumPy, in torch and in row bands, and the baseline interpolations."""
