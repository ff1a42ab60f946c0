"""Luma and colour differences of JFIF, and their reduced sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.bt601 import LUMA

Halved = tuple[bool, bool]
"""Whether the colour differences have half as many rows, and half as many columns: 4:2:0 is (True, True)."""

ITERATIONS = 6
"""Number of iterations of ``original_samples``: each leaves at most 3/4 of the error."""


BLUE, RED = 2 - 2 * LUMA[2], 2 - 2 * LUMA[0]
"""Ranges of blue - luma and red - luma, relative to that of luma."""


def to_planes(image: NDArray[Any]) -> Tensor:
    """(H, W, 3) uint8 RGB -> (3, H, W) float32: Y, Cb and Cr in levels, Cb and Cr around 0 (JFIF 1.02).

    Cb and Cr are exactly 0 for grey.
    """
    red, green, blue = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    blueness = (LUMA[0] * (blue - red) + LUMA[1] * (blue - green)) / BLUE
    redness = (LUMA[1] * (red - green) + LUMA[2] * (red - blue)) / RED
    return torch.stack((luma, blueness, redness))


def to_image(planes: Tensor) -> NDArray[np.uint8]:
    """Invert ``to_planes``, rounding to the nearest level."""
    luma, blueness, redness = planes
    green = luma - (LUMA[0] * RED * redness + LUMA[2] * BLUE * blueness) / LUMA[1]
    image = torch.stack((luma + RED * redness, green, luma + BLUE * blueness), dim=-1)
    return image.add(0.5).floor().clamp(0, 255).to(torch.uint8).numpy()


def reduced(planes: Tensor, halved: Halved) -> Tensor:
    """Average pairs of samples along the halved axes: (C, H, W) -> (C, H or H/2, W or W/2), rounded up."""
    rows, columns = (1 + half for half in halved)
    whole = F.pad(planes, (0, -planes.shape[-1] % columns, 0, -planes.shape[-2] % rows), mode="replicate")
    return F.avg_pool2d(whole, (rows, columns))


def interpolated(planes: Tensor, halved: Halved, height: int, width: int) -> Tensor:
    """Double the halved axes with libjpeg's triangular filter, which is linear interpolation."""
    size = (planes.shape[-2] * (1 + halved[0]), planes.shape[-1] * (1 + halved[1]))
    return F.interpolate(planes[None], size=size, mode="bilinear", align_corners=False)[0, :, :height, :width]


def original_samples(planes: Tensor, halved: Halved) -> Tensor:
    """Return the samples that were stored, given decoded planes.

    Interpolating and averaging again smooths along each halved axis. This is undone by iteration (van Cittert 1931).

    Args:
        planes: (C, H, W) from a decoder with the triangular filter.
        halved: see ``Halved``.
    """
    averaged = reduced(planes, halved)
    height, width = planes.shape[-2:]
    samples = averaged
    for _ in range(ITERATIONS if any(halved) else 0):
        samples = samples + averaged - reduced(interpolated(samples, halved, height, width), halved)
    return samples
