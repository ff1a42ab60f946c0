"""Masks of textured areas, to which the discriminator is limited (Song et al. 2023; Li et al. 2022)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.bt601 import LUMA

Mode = Literal["grid", "sliding"]

CELL = 11
"""Side of a cell in pixels, in both modes."""

DELTA = {"grid": 0.005, "sliding": 0.025}
"""Default threshold of each mode: a standard deviation on the [0, 1] scale."""


def _precise(image: Tensor) -> Tensor:
    """Return the image in the precision for summing variances: float64, or float32 on MPS, which has no float64."""
    return image.to(torch.float32 if image.device.type == "mps" else torch.float64)


def grid_mask(hr: Tensor, cell: int = CELL, delta: float = DELTA["grid"]) -> Tensor:
    """Gram-GAN's mask: 1 in cells whose standard deviation, averaged over the channels, is at least ``delta``.

    The cells of ``cell`` x ``cell`` pixels start at the image's top left corner; those at the right and bottom edges
    may be smaller. The standard deviation is the population's.

    Args:
        hr: (B, C, H, W) in [0, 1].

    Returns:
        (B, 1, H, W) of 0 and 1, in ``hr``'s dtype and on its device, without gradient.
    """
    height, width = hr.shape[-2:]
    x = _precise(hr.detach())
    mean = _cell_means(x, cell)
    variance = _cell_means((x - _spread(mean, cell, height, width)).square(), cell)
    textured = variance.sqrt().mean(dim=1, keepdim=True) >= delta
    return _spread(textured, cell, height, width).to(hr.dtype)


def _cell_means(x: Tensor, cell: int) -> Tensor:
    """Return the mean of each cell over its existing pixels, (B, C, ceil(H / cell), ceil(W / cell))."""
    bottom, right = -x.shape[-2] % cell, -x.shape[-1] % cell
    sums = F.avg_pool2d(F.pad(x, (0, right, 0, bottom)), cell, divisor_override=1)
    counts = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), (0, right, 0, bottom)), cell, divisor_override=1)
    return sums / counts


def _spread(cells: Tensor, cell: int, height: int, width: int) -> Tensor:
    """Repeat each cell's value over its pixels: (B, C, rows, columns) -> (B, C, height, width)."""
    return cells.repeat_interleave(cell, dim=2).repeat_interleave(cell, dim=3)[..., :height, :width]


def sliding_mask(hr: Tensor, cell: int = CELL, delta: float = DELTA["sliding"]) -> Tensor:
    """Beby-GAN's mask: 1 at pixels around which the luminance's standard deviation is at least ``delta``.

    The window is ``cell`` x ``cell`` pixels with stride 1 and reflected borders. The standard deviation is the
    population's, the luminance that of BT.601 (Li et al. 2022, "Best-Buddy GANs", section 3.3).

    Args:
        hr: RGB (B, 3, H, W) in [0, 1]; both sides larger than ``cell // 2``.
        cell: side of the window, odd.

    Returns:
        (B, 1, H, W) of 0 and 1, in ``hr``'s dtype and on its device, without gradient.

    Raises:
        ValueError: ``cell`` is even, or the image is too small for reflected borders.
    """
    margin = cell // 2
    if cell % 2 == 0:
        raise ValueError(f"a sliding window needs an odd size, not {cell}")
    if min(hr.shape[-2:]) <= margin:
        raise ValueError(f"a window of {cell} px needs images of more than {margin} px per side")
    x = _precise(hr.detach())
    luminance = (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    padded = F.pad(luminance, (margin, margin, margin, margin), mode="reflect")
    mean = F.avg_pool2d(padded, cell, stride=1)
    variance = F.avg_pool2d(padded.square(), cell, stride=1) - mean.square()
    return (variance.clamp(min=0).sqrt() >= delta).to(hr.dtype)


def texture_mask(hr: Tensor, mode: Mode = "grid", cell: int = CELL, delta: float | None = None) -> Tensor:
    """Return the mask of either mode, (B, 3, H, W) in [0, 1] -> (B, 1, H, W). ``delta`` None: the mode's default."""
    threshold = DELTA[mode] if delta is None else delta
    return (grid_mask if mode == "grid" else sliding_mask)(hr, cell, threshold)
