"""The ranges of values in which sources take losses and discriminators; ours are [0, 1] unless a recipe says so."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Range = Literal["unit", "signed", "imagenet"]

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet's RGB in [0, 1]."""


def as_rgb(image: Tensor) -> Tensor:
    """Grey (B, 1, H, W) as three equal channels, which losses, features and discriminators look at; RGB as it is."""
    return image.expand(-1, 3, -1, -1)


def in_range(image: Tensor, which: Range) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] as it is, in [-1, 1] ('signed'), or less ImageNet's mean, over its deviation."""
    if which == "unit":
        return image
    if which == "signed":
        return 2 * image - 1
    mean, std = (torch.tensor(values, dtype=image.dtype, device=image.device) for values in (MEAN, STD))
    return (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
