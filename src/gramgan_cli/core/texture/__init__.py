"""Texture: Gram matrices, patches, masks and the bank of real patches."""
