"""Sharpened HR as a target (Wang et al. 2021, ICCVW, section 3.5): a network that learns from it is crisper."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, DEVIATION = 51, 8.0
"""Of the Gaussian, in pixels."""

WEIGHT = 0.5
"""Share of the residual that is added."""

THRESHOLD = 10 / 255
"""Residual from which a pixel is sharpened."""


def gaussian_blur(x: Tensor) -> Tensor:
    """(B, C, H, W) under the Gaussian, mirrored at the edges; one axis after the other."""
    line = torch.arange(SIDE, dtype=x.dtype, device=x.device) - SIDE // 2
    kernel = torch.exp(-line.square() / (2 * DEVIATION**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, SIDE)
    planes = x.flatten(0, 1).unsqueeze(1)
    for weight, pad in ((kernel, (SIDE // 2, SIDE // 2, 0, 0)), (kernel.mT, (0, 0, SIDE // 2, SIDE // 2))):
        planes = F.conv2d(F.pad(planes, pad, mode="reflect"), weight)
    return planes.view_as(x)


def sharpened(hr: Tensor) -> Tensor:
    """Unsharp mask: HR + weight x (HR - blurred HR), cut to [0, 1], blended in softly where the residual is large.

    Args:
        hr: (B, C, H, W) in [0, 1], sides above 25 pixels.

    Returns:
        The same shape, in [0, 1].
    """
    residual = hr - gaussian_blur(hr)
    mask = gaussian_blur((residual.abs() > THRESHOLD).to(hr.dtype))
    sharp = (hr + WEIGHT * residual).clamp(0, 1)
    return mask * sharp + (1 - mask) * hr
