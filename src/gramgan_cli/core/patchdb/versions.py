"""The three versions in which a patch enters the candidates: as it is, down and up again, slightly deformed.

Both derived versions are computed from the photo around the patch, never from filled-in borders, so a place needs
``MARGIN`` pixels of photo on every side (SPEC 1.4 of the method: Song et al. 2023, section 3.2).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gramgan_cli.core.patches import cut_patches
from gramgan_cli.core.resize import contributions

VERSIONS = ("raw", "down-up", "affine")

MARGIN = 8
"""Pixels around a patch that its versions may read: halving and doubling reach 7 px, the affine map less than 8 px as
long as its normal numbers stay within ``NORMAL_LIMIT`` and patches within 16 px."""

NORMAL_LIMIT = 6.0
AFFINE_NUMBERS = 5
ANGLE_DEGREES = 1.08
SHEAR_DEGREES = 0.06
SCALE = 0.003
SHIFT_PIXELS = 0.003 * 192
"""Affine magnitudes per standard normal number: 0.003 of a full turn, about that of a shear, of the scale, and of the
training crop's side."""


@lru_cache(maxsize=8)
def down_up_matrix(length: int) -> Tensor:
    """(length, length), float64: halving and doubling along one axis by MATLAB's bicubic, as one linear map.

    Only the rows that lie ``MARGIN`` or more from both ends are free of MATLAB's mirrored border. All weights are
    multiples of a power of two, so products with 8-bit values are exact in float64.
    """
    half = -(-length // 2)
    down, up = np.zeros((half, length)), np.zeros((length, half))
    for matrix, (index, weight) in (
        (down, contributions(length, half, 0.5)),
        (up, contributions(half, length, 2.0)),
    ):
        np.add.at(matrix, (np.arange(len(index))[:, None], index), weight)
    return torch.from_numpy(up @ down)


def down_up_patches(images: Tensor, places: Tensor, size: int) -> Tensor:
    """Patches of the images halved and doubled again, each on the pixel grid that its own corner starts.

    Args:
        images: (B, C, H, W), any range and dtype.
        places: corners (y, x), (B, K, 2), at least ``MARGIN`` from every border.
        size: side of a patch.

    Returns:
        (B, K, C, size, size), not rounded; float64, or the images' own precision where they are floating point.
    """
    length = size + 2 * MARGIN
    context = cut_patches(images, places - MARGIN, length)
    context = context if context.is_floating_point() else context.double()
    rows = down_up_matrix(length)[MARGIN : MARGIN + size].to(context)
    return rows @ context @ rows.T


def affine_positions(places: Tensor, size: int, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pixels of deformed patches are read.

    About the patch's centre: shear x by y, turn, scale; then shift. Each of ``normals``' numbers drives one of angle,
    shear, scale, shift down and shift right.

    Args:
        places: corners (y, x), (B, K, 2).
        size: side of a patch.
        normals: standard normal numbers (B, K, 5), cut at ``NORMAL_LIMIT`` here.

    Returns:
        y and x, each (B, K, size, size), in pixels; pixel centres are whole numbers.
    """
    angle, shear, scale, down, right = normals.clamp(-NORMAL_LIMIT, NORMAL_LIMIT)[..., None, None].unbind(2)
    half = (size - 1) / 2
    offset = torch.arange(size, dtype=normals.dtype, device=normals.device) - half
    y = offset[:, None].expand(size, size)
    x = offset + torch.tan(shear * math.radians(SHEAR_DEGREES)) * y
    sine, cosine = torch.sin(angle * math.radians(ANGLE_DEGREES)), torch.cos(angle * math.radians(ANGLE_DEGREES))
    zoom = 1 + SCALE * scale
    corner = places.to(normals)[..., None, None]
    return (
        corner[:, :, 0] + half + zoom * (sine * x + cosine * y) + SHIFT_PIXELS * down,
        corner[:, :, 1] + half + zoom * (cosine * x - sine * y) + SHIFT_PIXELS * right,
    )


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic kernel with a = -0.5 (Keys 1981), the one of ``core.resize``."""
    a = distance.abs()
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return torch.where(a <= 1, near, torch.where(a <= 2, far, torch.zeros_like(a)))


def affine_patches(images: Tensor, places: Tensor, size: int, normals: Tensor) -> Tensor:
    """Patches under the small random affine map, read by bicubic interpolation.

    Args:
        images: (B, C, H, W), any range and dtype.
        places: corners (y, x), (B, K, 2), at least ``MARGIN`` from every border; ``size`` is at most 16.
        size: side of a patch.
        normals: (B, K, 5), see ``affine_positions``; their dtype is the result's.

    Returns:
        (B, K, C, size, size), not rounded.
    """
    batch, channels, _, width = images.shape
    y, x = affine_positions(places, size, normals)
    first_y, first_x = y.floor(), x.floor()
    pixels = images.flatten(2)
    out = torch.zeros(batch, channels, y[0].numel(), dtype=normals.dtype, device=images.device)
    for step_y in range(-1, 3):
        weight_y = _cubic(y - (first_y + step_y))
        for step_x in range(-1, 3):
            weight = (weight_y * _cubic(x - (first_x + step_x))).view(batch, 1, -1)
            index = ((first_y + step_y) * width + first_x + step_x).long().view(batch, 1, -1)
            out += weight * pixels.gather(2, index.expand(-1, channels, -1))
    return out.view(batch, channels, -1, size, size).transpose(1, 2)
