"""Value ranges of the inputs of losses and discriminators: [0, 1], or what a recipe sets to match its source."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Range = Literal["unit", "signed", "imagenet"]

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB in [0, 1]."""


def as_rgb(image: Tensor) -> Tensor:
    """Expand grey (B, 1, H, W) to three equal channels, as losses and discriminators expect; RGB is unchanged."""
    return image.expand(-1, 3, -1, -1)


def in_range(image: Tensor, which: Range) -> Tensor:
    """Map RGB (B, 3, H, W) from [0, 1] to a range: 'unit' unchanged, 'signed' [-1, 1], 'imagenet' normalised."""
    if which == "unit":
        return image
    if which == "signed":
        return 2 * image - 1
    mean, std = (torch.tensor(values, dtype=image.dtype, device=image.device) for values in (MEAN, STD))
    return (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
