"""Sharpened HR as the training target, which makes results crisper (Wang et al. 2021, ICCVW, section 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, DEVIATION = 51, 8.0
"""Kernel size and standard deviation of the Gaussian, in pixels."""

WEIGHT = 0.5
"""Fraction of the residual that is added."""

THRESHOLD = 10 / 255
"""Residual above which a pixel is sharpened."""


def gaussian_blur(x: Tensor) -> Tensor:
    """Blur (B, C, H, W) with a separable Gaussian and reflected borders."""
    line = torch.arange(SIDE, dtype=x.dtype, device=x.device) - SIDE // 2
    kernel = torch.exp(-line.square() / (2 * DEVIATION**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, SIDE)
    planes = x.flatten(0, 1).unsqueeze(1)
    for weight, pad in ((kernel, (SIDE // 2, SIDE // 2, 0, 0)), (kernel.mT, (0, 0, SIDE // 2, SIDE // 2))):
        planes = F.conv2d(F.pad(planes, pad, mode="reflect"), weight)
    return planes.view_as(x)


def sharpened(hr: Tensor) -> Tensor:
    """Return the unsharp mask HR + weight x (HR - blurred HR), clipped to [0, 1] and blended in where it is strong.

    Args:
        hr: (B, C, H, W) in [0, 1], sides above 25 pixels.

    Returns:
        The same shape, in [0, 1]. The blending mask is blurred, so there are no hard transitions.
    """
    residual = hr - gaussian_blur(hr)
    mask = gaussian_blur((residual.abs() > THRESHOLD).to(hr.dtype))
    sharp = (hr + WEIGHT * residual).clamp(0, 1)
    return mask * sharp + (1 - mask) * hr
