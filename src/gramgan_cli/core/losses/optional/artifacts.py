"""A loss against the artifacts of GANs (LDL: Liang, Zeng and Zhang, CVPR 2022): SR and HR, (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 7
"""Side of the window whose residuals' variance says how likely an artifact is (section 3.2)."""
ROOT = 5
"""Root of the whole picture's variance, by which that is scaled (eq. 4)."""


def artifact_map(sr: Tensor, hr: Tensor) -> Tensor:
    """How likely each pixel is an artifact: (B, 1, H, W), without gradient (eq. 2 to 4).

    The residual |SR - HR| is summed over the channels. Its variance in a window, mirrored at the edges, is large where
    artifacts are; it is scaled by the fifth root of the residual's variance over the whole picture.
    """
    residual = (hr - sr).detach().float().abs().sum(1, keepdim=True)
    padded = F.pad(residual, (WINDOW // 2,) * 4, mode="reflect")
    patches = padded.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)
    local = patches.flatten(4).var(-1)
    whole: Tensor = residual.flatten(1).var(1).pow(1 / ROOT).view(-1, 1, 1, 1)
    return whole * local


def artifacts(sr: Tensor, hr: Tensor, steady: Tensor | None = None) -> Tensor:
    """Mean absolute difference, weighted by the map of artifacts (eq. 6).

    Args:
        sr: the generator's pictures; gradient goes into these alone.
        hr: what they should be.
        steady: those of its averaged weights, which show fewer artifacts. Where SR is nearer to HR than they are, it
            has none to unlearn: the map is 0 there (eq. 5). None takes the whole map.
    """
    weight = artifact_map(sr, hr)
    if steady is not None:
        own, averaged = ((hr - image).detach().float().abs().sum(1, keepdim=True) for image in (sr, steady))
        weight = weight * (own >= averaged)
    return torch.mean(weight * (sr - hr).abs())
