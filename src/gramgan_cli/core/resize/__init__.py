"""Resizing: MATLAB's bicubic, its torch form, row by row, and the interpolations to compare with."""
