"""Gram matrices of small RGB patches, in full and packed into their six distinct entries.

Song et al. 2023, "Gram-GAN", Sensors 23(4), 2098, section 3.2: G = p p^T, not normalised.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PACKED = 6
"""Number of distinct entries of a symmetric 3 x 3 matrix."""

_ROWS = (0, 1, 2, 0, 0, 1)
_COLUMNS = (0, 1, 2, 1, 2, 2)
_SCALES = (1.0, 1.0, 1.0, math.sqrt(2), math.sqrt(2), math.sqrt(2))
_POSITIONS = (0, 3, 4, 3, 1, 5, 4, 5, 2)
"""Packed index of each of the nine entries, in row-major order."""


def gram(patches: Tensor, centered: bool = False) -> Tensor:
    """Return G = p p^T of each patch p, seen as a C x (h w) matrix.

    Args:
        patches: (..., C, h, w), values in [0, 1].
        centered: subtract each channel's mean first, which keeps texture and drops brightness.

    Returns:
        (..., C, C), entries up to h w.
    """
    p = patches.flatten(-2)
    if centered:
        p = p - p.mean(-1, keepdim=True)
    return p @ p.transpose(-1, -2)


def unpack(packed: Tensor) -> Tensor:
    """Expand packed matrices (..., 6) to the symmetric matrices (..., 3, 3)."""
    entries = (packed / packed.new_tensor(_SCALES))[..., _POSITIONS]
    return entries.view(*packed.shape[:-1], 3, 3)


def packed_gram(patches: Tensor, centered: bool = False) -> Tensor:
    """Return the packed Gram matrices (..., 6) of RGB patches (..., 3, h, w) in [0, 1], without gradient.

    The six numbers are G's diagonal, then the entries above it times sqrt(2). The Euclidean distance of two such
    vectors equals the Frobenius distance of the full matrices, where each off-diagonal entry counts twice. The result
    is float32 or wider. Six sums of products are faster than many 3 x 3 matrix products.
    """
    with torch.no_grad():
        p = (patches.float() if patches.dtype.itemsize < 4 else patches).flatten(-2)
        if centered:
            p = p - p.mean(-1, keepdim=True)
        products = (p[..., _ROWS, :] * p[..., _COLUMNS, :]).sum(-1)
        return products * products.new_tensor(_SCALES)
