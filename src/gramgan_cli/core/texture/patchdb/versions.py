"""The three versions of each patch in the bank: raw, down- and upscaled, and slightly deformed.

Both derived versions are computed from the photo around the patch, never from padding. A position therefore needs
``MARGIN`` pixels of photo on every side (Song et al. 2023, section 3.2).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gramgan_cli.core.resize.matlab import contributions
from gramgan_cli.core.texture.patches import cut_patches

VERSIONS = ("raw", "down-up", "affine")

MARGIN = 8
"""Pixels around a patch that its versions may read. Halving and doubling read 7. The affine map reads fewer than 8 if
its normal numbers stay within ``NORMAL_LIMIT`` and patches within 16 px. It is even, so that the halved grid fits."""

NORMAL_LIMIT = 6.0
AFFINE_NUMBERS = 5
ANGLE_DEGREES = 1.08
SHEAR_DEGREES = 0.06
SCALE = 0.003
SHIFT_PIXELS = 0.003 * 192
"""Standard deviations of the affine parameters. The rotation is 0.003 of a full turn; scale and shift are 0.003 of the
patch's scale and of the training crop's side (192 px)."""


@lru_cache(maxsize=8)
def down_up_matrix(length: int) -> Tensor:
    """Return MATLAB's bicubic halving and doubling along one axis as one linear map, (length, length), float64.

    Only rows at least ``MARGIN`` from both ends are unaffected by MATLAB's mirrored border. All weights are multiples
    of a power of two, so products with 8-bit values are exact in float64.
    """
    half = -(-length // 2)
    down, up = np.zeros((half, length)), np.zeros((length, half))
    for matrix, (index, weight) in (
        (down, contributions(length, half, 0.5)),
        (up, contributions(half, length, 2.0)),
    ):
        np.add.at(matrix, (np.arange(len(index))[:, None], index), weight)
    return torch.from_numpy(up @ down)


def down_up_patches(images: Tensor, positions: Tensor, size: int) -> Tensor:
    """Return patches of the images halved and doubled again, with each patch's corner on its own pixel grid.

    Args:
        images: (B, C, H, W), any range and dtype.
        positions: corners (y, x), (B, K, 2), at least ``MARGIN`` from every border.
        size: side of a patch in pixels.

    Returns:
        (B, K, C, size, size), not rounded; in the images' dtype if it is floating point, else float64.
    """
    rows = down_up_matrix(size + 2 * MARGIN)[MARGIN : MARGIN + size, 1:-1]
    context = cut_patches(images, positions - (MARGIN - 1), rows.shape[1]).transpose(1, 2)
    context = context if context.is_floating_point() else context.double()
    return _along_last_axis(_along_last_axis(context, rows.to(context)), rows.to(context)).transpose(1, 2)


def _along_last_axis(values: Tensor, matrix: Tensor) -> Tensor:
    """Map the last axis of (..., n, m) by a matrix (size, m) and swap the last two axes: (..., size, n).

    One large product, because a batch of tiny ones is slow.
    """
    mapped = values.flatten(0, -2) @ matrix.T
    return mapped.view(*values.shape[:-1], len(matrix)).transpose(-1, -2)


def affine_offsets(size: int, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Return the coordinates at which deformed patches are sampled, relative to each patch's corner.

    The map shears x by y, rotates and scales about the patch's centre, then shifts. The five ``normals`` drive the
    angle, shear, scale, shift down and shift right.

    Args:
        size: side of a patch in pixels.
        normals: standard normal numbers (B, K, 5), clamped to ``NORMAL_LIMIT`` here.

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
    return (
        half + zoom * (sine * x + cosine * y) + SHIFT_PIXELS * down,
        half + zoom * (cosine * x - sine * y) + SHIFT_PIXELS * right,
    )


def _cubic_weights(fraction: Tensor) -> list[Tensor]:
    """Return Keys' weights (a = -0.5) of the four samples around a point ``fraction`` past the second sample."""

    def near(t: Tensor) -> Tensor:
        return (1.5 * t - 2.5) * t * t + 1

    def far(t: Tensor) -> Tensor:
        return ((-0.5 * t + 2.5) * t - 4) * t + 2

    return [far(1 + fraction), near(fraction), near(1 - fraction), far(2 - fraction)]


def affine_patches(images: Tensor, positions: Tensor, size: int, normals: Tensor) -> Tensor:
    """Return patches under a small random affine map, sampled bicubically (Keys 1981; ``core.resize.matlab``).

    Args:
        images: (B, C, H, W), any range and dtype.
        positions: corners (y, x), (B, K, 2), at least ``MARGIN`` from every border.
        size: side of a patch in pixels, at most 16.
        normals: (B, K, 5), see ``affine_offsets``; sets the result's dtype.

    Returns:
        (B, K, C, size, size), not rounded.
    """
    batch, channels, _, width = images.shape
    y, x = affine_offsets(size, normals)
    first_y, first_x = y.floor(), x.floor()
    corner = positions.to(images.device)[..., None, None]
    first = (corner[:, :, 0] + first_y.long()) * width + corner[:, :, 1] + first_x.long()
    weights_x = _cubic_weights(x - first_x)
    pixels = images.flatten(2)
    out = torch.zeros(batch, channels, first[0].numel(), dtype=normals.dtype, device=images.device)
    for step_y, weight_y in enumerate(_cubic_weights(y - first_y), start=-1):
        row = torch.zeros_like(out)
        for step_x, weight_x in enumerate(weights_x, start=-1):
            index = (first + (step_y * width + step_x)).view(batch, 1, -1).expand(-1, channels, -1)
            row.addcmul_(weight_x.reshape(batch, 1, -1), pixels.gather(2, index).to(out.dtype))
        out.addcmul_(weight_y.reshape(batch, 1, -1), row)
    return out.view(batch, channels, -1, size, size).transpose(1, 2)
