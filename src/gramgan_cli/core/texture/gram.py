"""Gram matrices of small colour patches, in full and as their six distinct numbers.

After Song et al. 2023, "Gram-GAN", Sensors 23(4), 2098, section 3.2: G = p p^T, not normalised.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PACKED = 6
"""Distinct numbers of a symmetric 3 x 3 matrix."""

_ROWS = (0, 1, 2, 0, 0, 1)
_COLUMNS = (0, 1, 2, 1, 2, 2)
_SCALES = (1.0, 1.0, 1.0, math.sqrt(2), math.sqrt(2), math.sqrt(2))
_POSITIONS = (0, 3, 4, 3, 1, 5, 4, 5, 2)
"""Where the nine entries, row by row, stand among the six."""


def gram(patches: Tensor, centered: bool = False) -> Tensor:
    """G = p p^T of each patch p, its pixels as columns.

    Args:
        patches: (..., C, h, w), values in [0, 1].
        centered: take each channel's mean off the patch first, which leaves texture without brightness.

    Returns:
        (..., C, C), entries up to h w.
    """
    p = patches.flatten(-2)
    if centered:
        p = p - p.mean(-1, keepdim=True)
    return p @ p.transpose(-1, -2)


def unpack(packed: Tensor) -> Tensor:
    """Six numbers (..., 6) -> the symmetric matrices (..., 3, 3) that they stand for."""
    entries = (packed / packed.new_tensor(_SCALES))[..., _POSITIONS]
    return entries.view(*packed.shape[:-1], 3, 3)


def packed_gram(patches: Tensor, centered: bool = False) -> Tensor:
    """RGB patches (..., 3, h, w) in [0, 1] -> six numbers each (..., 6), without gradient, at least in float32.

    The diagonal of G, then the entries above it times sqrt(2): the Euclidean distance of two such vectors equals the
    Frobenius distance of the full matrices, since each entry off the diagonal counts twice there. Computed as six sums
    of products, which is faster than many 3 x 3 matrix products.
    """
    with torch.no_grad():
        p = (patches.float() if patches.dtype.itemsize < 4 else patches).flatten(-2)
        if centered:
            p = p - p.mean(-1, keepdim=True)
        products = (p[..., _ROWS, :] * p[..., _COLUMNS, :]).sum(-1)
        return products * products.new_tensor(_SCALES)
