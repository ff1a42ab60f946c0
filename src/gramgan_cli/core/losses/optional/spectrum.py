"""A loss of our own: as much energy at each spatial frequency, region by region, as HR has there.

Features ask for texture, and a network without noise draws it as dots of the sub-pixel grid: much energy at a few
frequencies. Real texture and grain spread theirs. Only the power counts, not where in the region a wave has its crests,
so that texture which can't be known may be invented, but not as a grid.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.losses.colours import CHROMA, luma_and_differences

WINDOW, STEP = 16, 8
"""Side and distance of the windows that are transformed, in pixels: a grid of 4 px is the fifth of nine frequencies."""

REGION = 4
"""Windows each way over which the power is averaged, and half as many from one region to the next."""

FLOOR = 5e-4
"""Power below which nothing is compared: that of white noise of one 8-bit level."""

LEAST = WINDOW + STEP * (REGION - 1)
"""Smallest side of the pictures, in pixels."""


def local_power(image: Tensor) -> Tensor:
    """Power of luma and the two colour differences at each frequency, averaged over regions.

    Args:
        image: RGB (B, 3, H, W) in [0, 1], sides of ``LEAST`` at least.

    Returns:
        (B, 3, 144, rows, columns); 144 are the 16 x 9 frequencies of a window under Hann's bell, its mean taken out.
    """
    line = torch.hann_window(WINDOW, dtype=image.dtype, device=image.device)
    planes = luma_and_differences(image) / torch.tensor([1.0, CHROMA, CHROMA]).to(image).view(1, 3, 1, 1)
    windows = planes.unfold(2, WINDOW, STEP).unfold(3, WINDOW, STEP)
    windows = (windows - windows.mean((-1, -2), keepdim=True)) * line.outer(line)
    power = torch.fft.rfft2(windows).abs().square().flatten(-2).movedim(-1, 2)
    pooled = F.avg_pool2d(power.flatten(0, 2).unsqueeze(1), REGION, REGION // 2)
    return pooled.view(*power.shape[:3], *pooled.shape[-2:])


def spectrum(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute logarithm of SR's power over HR's, over all frequencies, regions and colours.

    Args:
        sr, hr: RGB (B, 3, H, W) in [0, 1], sides of ``LEAST`` at least.

    Returns:
        A scalar, 0 for equal pictures; 1 where the power is wrong by a factor of e. Gradient goes into ``sr``.
    """
    return ((local_power(sr) + FLOOR) / (local_power(hr) + FLOOR)).log().abs().mean()
