"""The discrete cosine transform of 8 x 8 blocks (ITU-T T.81, A.3.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8
"""Side of a block in samples."""


def dct_matrix() -> Tensor:
    """Return the orthonormal DCT-II as a matrix (frequency, position), 8 x 8."""
    frequency, position = torch.arange(BLOCK)[:, None], torch.arange(BLOCK)[None, :]
    waves = torch.cos((2 * position + 1) * frequency * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    waves[0] = math.sqrt(1 / BLOCK)
    return waves


def to_coefficients(plane: Tensor) -> Tensor:
    """Transform a plane block by block; its right and bottom edges are repeated to whole blocks.

    Args:
        plane: (..., H, W).

    Returns:
        (..., rows, 8, columns, 8): blocks from top to bottom, vertical frequencies, blocks from left to right,
        horizontal frequencies. In this order nothing is copied.
    """
    height, width = plane.shape[-2:]
    whole = F.pad(plane[None], (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")[0]
    waves = dct_matrix()
    down = waves @ whole.reshape(*plane.shape[:-2], -1, BLOCK, whole.shape[-1])
    coefficients: Tensor = down.reshape(*down.shape[:-1], -1, BLOCK) @ waves.T
    return coefficients


def to_plane(coefficients: Tensor, height: int, width: int) -> Tensor:
    """Transform the coefficients of ``to_coefficients`` back to a plane (..., height, width)."""
    waves = dct_matrix()
    across = (coefficients @ waves).flatten(-2)
    return (waves.T @ across).flatten(-3, -2)[..., :height, :width]
