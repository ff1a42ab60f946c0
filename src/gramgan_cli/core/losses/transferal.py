"""The transferal perceptual loss of TTSR (Yang et al., CVPR 2020, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def transferal_perceptual(sr_levels: Sequence[Tensor], textures: Sequence[Tensor], scores: Tensor) -> Tensor:
    """Return the mean over levels of MSE(sigmoid(S) LTE(SR), sigmoid(S) T): SR should show the transferred textures.

    T and S are detached. Otherwise the search could lower the loss by choosing textures that are easy to copy, or by
    lowering all scores.

    Args:
        sr_levels: LTE(SR), (B, C_i, H_i, W_i) per level, from ``TextureExtractor.frozen``, a frozen copy of this step's
            extractor, so that the extractor cannot lower the loss either.
        textures: T, of the same shapes and order.
        scores: S, (B, 1, h, w); resized bicubically to each level, as in the main network.

    Returns:
        A float32 scalar; only ``sr_levels`` receives a gradient.
    """
    terms = []
    for sr, texture in zip(sr_levels, textures, strict=True):
        enlarged = F.interpolate(scores.detach().float(), size=sr.shape[-2:], mode="bicubic", align_corners=False)
        weight = torch.sigmoid(enlarged)
        terms.append(F.mse_loss(sr.float() * weight, texture.detach().float() * weight))
    return torch.stack(terms).mean()
