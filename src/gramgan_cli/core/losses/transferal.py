"""The transferal perceptual loss of TTSR (Yang et al., CVPR 2020, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def transferal_perceptual(sr_levels: Sequence[Tensor], textures: Sequence[Tensor], scores: Tensor) -> Tensor:
    """Mean over the levels of MSE(sigmoid(S) LTE(SR), sigmoid(S) T): SR should have the textures that were brought.

    T and S are constants here: were they not, the search could please the loss by choosing textures that are easy to
    copy, or by trusting none.

    Args:
        sr_levels: LTE(SR), (B, C_i, H_i, W_i) per level, from ``TextureExtractor.frozen`` (a copy of this step's
            extractor as constants, so that it can't please the loss either).
        textures: T, of the same shapes and order.
        scores: S, (B, 1, h, w); enlarged bicubically to each level, as in the main net.

    Returns:
        A scalar in fp32, with gradient to ``sr_levels`` only.
    """
    terms = []
    for sr, texture in zip(sr_levels, textures, strict=True):
        enlarged = F.interpolate(scores.detach().float(), size=sr.shape[-2:], mode="bicubic", align_corners=False)
        weight = torch.sigmoid(enlarged)
        terms.append(F.mse_loss(sr.float() * weight, texture.detach().float() * weight))
    return torch.stack(terms).mean()
