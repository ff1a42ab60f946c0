"""Losses that no built-in recipe uses, available to custom recipes."""
