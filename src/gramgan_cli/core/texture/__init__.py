"""Texture: Gram matrices, patches, masks and the patch bank."""
