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


def artifacts(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference, weighted by the map of artifacts (eq. 6).

    The paper also leaves out where an averaged network is further from HR; this loss has no second network.
    """
    return torch.mean(artifact_map(sr, hr) * (sr - hr).abs())
