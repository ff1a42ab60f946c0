"""Losses that no built-in recipe takes, for recipes of your own."""
