"""A loss of our own on the local power spectrum: SR should have as much energy at each frequency as HR.

Feature losses ask for texture, and a network without noise input draws it as dots on the sub-pixel grid, with much
energy at a few frequencies. Real texture and grain spread their energy. Only the power is compared, not the phase, so
the network may invent texture that it cannot know, but not as a grid.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.losses.colours import luma_and_differences

WINDOW, STEP = 16, 8
"""Side and stride of the transformed windows in pixels. A grid of 4 px falls on the fifth of nine frequencies."""

REGION = 4
"""Side in windows of the regions over which the power is averaged; their stride is half of it."""

FLOOR = 5e-4
"""Power below which nothing is compared: the power of white noise of one 8-bit level."""

LEAST = WINDOW + STEP * (REGION - 1)
"""Smallest allowed image side, in pixels."""


def local_power(image: Tensor) -> Tensor:
    """Return the power of luma and both chroma planes at each frequency, averaged over regions.

    Args:
        image: RGB (B, 3, H, W) in [0, 1], sides of at least ``LEAST``.

    Returns:
        (B, 3, 144, rows, columns). The 144 entries are the 16 x 9 frequencies of a mean-free, Hann-weighted window.
    """
    line = torch.hann_window(WINDOW, dtype=image.dtype, device=image.device)
    planes = luma_and_differences(image, chroma=1.0)
    windows = planes.unfold(2, WINDOW, STEP).unfold(3, WINDOW, STEP)
    windows = (windows - windows.mean((-1, -2), keepdim=True)) * line.outer(line)
    power = torch.fft.rfft2(windows).abs().square().flatten(-2).movedim(-1, 2)
    pooled = F.avg_pool2d(power.flatten(0, 2).unsqueeze(1), REGION, REGION // 2)
    return pooled.view(*power.shape[:3], *pooled.shape[-2:])


def spectrum(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean of |log(SR power / HR power)| over all frequencies, regions and planes.

    Args:
        sr, hr: RGB (B, 3, H, W) in [0, 1], sides of at least ``LEAST``.

    Returns:
        A scalar, differentiable in ``sr``: 0 for equal images, 1 where the power is off by a factor of e.
    """
    return ((local_power(sr) + FLOOR) / (local_power(hr) + FLOOR)).log().abs().mean()
