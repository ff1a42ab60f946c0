"""The colours in which pixel losses compare SR and HR."""

from __future__ import annotations

import torch
from torch import Tensor

CHROMA = 0.3
"""Weight of the two colour differences beside luma. The eye resolves them less, and papers measure luma alone."""

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
"""Luma of ITU-R BT.601."""


def luma_and_differences(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] -> Y, 0.3 Cb, 0.3 Cr of ITU-R BT.601, full range, Cb and Cr around 0."""
    red, green, blue = rgb.unbind(1)
    luma = _RED * red + _GREEN * green + _BLUE * blue
    return torch.stack(
        (luma, CHROMA * 0.5 * (blue - luma) / (1 - _BLUE), CHROMA * 0.5 * (red - luma) / (1 - _RED)), dim=1
    )
