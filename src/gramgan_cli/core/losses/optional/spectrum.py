"""Two losses of our own on the local power spectrum: SR should have as much energy at each frequency as HR, or no more.

Feature losses ask for texture, and a network without noise input draws it as dots on the sub-pixel grid, with much
energy at a few frequencies. Real texture and grain spread their energy. Only the power is compared, not the phase, so
the network may invent texture that it cannot know, but not as a grid.

A window of 16 px cannot tell a lattice of about 7 px from texture: its few peaks leak into all neighbouring
frequencies. ``excess`` therefore uses 32 px, and the square makes a few high peaks cost more than many small ones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.losses.colours import luma_and_differences

WINDOW, STEP = 16, 8
"""Side and stride of the transformed windows in pixels. A grid of 4 px falls on the fifth of nine frequencies."""

EXCESS_WINDOW = 32
"""Side of the windows of ``excess``, in pixels."""

REGION = 4
"""Side in windows of the regions over which the power is averaged; their stride is half of it."""

FLOOR = 5e-4
"""Power below which nothing is compared: the power of white noise of one 8-bit level."""

LEAST = WINDOW + STEP * (REGION - 1)
"""Smallest allowed image side for ``spectrum``, in pixels."""

EXCESS_LEAST = EXCESS_WINDOW + STEP * (REGION - 1)
"""Smallest allowed image side for ``excess``, in pixels."""


def local_power(image: Tensor, side: int) -> Tensor:
    """Return the power of luma and both chroma planes at each frequency, averaged over regions.

    Args:
        image: RGB (B, 3, H, W) in [0, 1], sides of at least side + 24 px.
        side: side of the windows in pixels.

    Returns:
        (B, 3, F, rows, columns), F = side (side / 2 + 1): the frequencies of mean-free, Hann-weighted windows.
    """
    line = torch.hann_window(side, dtype=image.dtype, device=image.device)
    planes = luma_and_differences(image, chroma=1.0)
    windows = planes.unfold(2, side, STEP).unfold(3, side, STEP)
    windows = (windows - windows.mean((-1, -2), keepdim=True)) * line.outer(line)
    power = torch.fft.rfft2(windows).abs().square().flatten(-2).movedim(-1, 2)
    pooled = F.avg_pool2d(power.flatten(0, 2).unsqueeze(1), REGION, REGION // 2)
    return pooled.view(*power.shape[:3], *pooled.shape[-2:])


def _log_ratio(sr: Tensor, hr: Tensor, side: int) -> Tensor:
    """Return log(SR power / HR power) over windows of ``side`` px, shaped as in ``local_power``."""
    floor = FLOOR * (side / WINDOW) ** 2  # the same noise has as many times more power in a larger window
    return ((local_power(sr, side) + floor) / (local_power(hr, side) + floor)).log()


def spectrum(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean of |log(SR power / HR power)| over all frequencies, regions and planes.

    Args:
        sr, hr: RGB (B, 3, H, W) in [0, 1], sides of at least ``LEAST``.

    Returns:
        A scalar, differentiable in ``sr``: 0 for equal images, 1 where the power is off by a factor of e.
    """
    return _log_ratio(sr, hr, WINDOW).abs().mean()


def excess(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean of max(0, log(SR power / HR power))^2 over all frequencies, regions and planes.

    It costs nothing to be smoother than HR. Lattices and dots cost much: they have far more power than HR at a few
    frequencies.

    Args:
        sr, hr: RGB (B, 3, H, W) in [0, 1], sides of at least ``EXCESS_LEAST``.

    Returns:
        A scalar, differentiable in ``sr``: 0 if no frequency has more power than in HR.
    """
    return F.relu(_log_ratio(sr, hr, EXCESS_WINDOW)).square().mean()
