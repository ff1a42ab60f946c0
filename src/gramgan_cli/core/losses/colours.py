"""Colour space in which pixel losses compare SR and HR."""

from __future__ import annotations

import torch
from torch import Tensor

from gramgan_cli.core.bt601 import LUMA

CHROMA = 0.3
"""Weight of the two chroma planes relative to luma. The eye resolves chroma less, and papers measure luma only."""


def luma_and_differences(rgb: Tensor, chroma: float = CHROMA) -> Tensor:
    """Convert RGB (B, 3, H, W) in [0, 1] to (Y, Cb, Cr): ITU-R BT.601, full range, chroma centred on 0.

    Args:
        rgb: the images.
        chroma: weight of the two chroma planes.
    """
    red, green, blue = rgb.unbind(1)
    of_red, of_green, of_blue = LUMA
    luma = of_red * red + of_green * green + of_blue * blue
    return torch.stack(
        (luma, chroma * 0.5 * (blue - luma) / (1 - of_blue), chroma * 0.5 * (red - luma) / (1 - of_red)), dim=1
    )
