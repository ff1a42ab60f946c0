"""JPEG compression as it shows in decoded photos: its blocks, its quantisation, and smoothing its blocks."""
