"""L_PT, the patch texture loss (Song et al. 2023, "Gram-GAN", section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from gramgan_cli.core.texture.gram import gram, unpack


def patch_texture(sr_patches: Tensor, target: Tensor, centered: bool = False) -> Tensor:
    """Return L1(Gram(SR patch), Gram(p*)), averaged over the nine entries and over the patches.

    Args:
        sr_patches: (..., 3, h, w) in [0, 1], attached to the generator's graph.
        target: packed Gram matrices of the matched patches p*, (..., 6); they receive no gradient.
        centered: remove each channel's mean first; must match the search that found p*.
    """
    with torch.autocast(sr_patches.device.type, enabled=False):
        patches = sr_patches.float() if sr_patches.dtype.itemsize < 4 else sr_patches
        return (gram(patches, centered) - unpack(target.detach().to(patches.dtype))).abs().mean()
