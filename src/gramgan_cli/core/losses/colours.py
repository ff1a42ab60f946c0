"""The colours in which pixel losses compare SR and HR."""

from __future__ import annotations

import torch
from torch import Tensor

from gramgan_cli.core.bt601 import LUMA

CHROMA = 0.3
"""Weight of the two colour differences beside luma. The eye resolves them less, and papers measure luma alone."""


def luma_and_differences(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] -> Y, 0.3 Cb, 0.3 Cr of ITU-R BT.601, full range, Cb and Cr around 0."""
    red, green, blue = rgb.unbind(1)
    of_red, of_green, of_blue = LUMA
    luma = of_red * red + of_green * green + of_blue * blue
    return torch.stack(
        (luma, CHROMA * 0.5 * (blue - luma) / (1 - of_blue), CHROMA * 0.5 * (red - luma) / (1 - of_red)), dim=1
    )
