"""Discriminators: RGB in [0, 1] -> one logit per image, (B, 1)."""
