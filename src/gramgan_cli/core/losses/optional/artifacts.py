"""LDL loss against GAN artifacts (Liang, Zeng and Zhang, CVPR 2022); SR and HR are (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 7
"""Side of the window in which the residual's variance is computed (section 3.2)."""
ROOT = 5
"""Root of the whole image's residual variance by which the local variance is scaled (eq. 4)."""


def artifact_map(sr: Tensor, hr: Tensor) -> Tensor:
    """Return a map of how likely each pixel is an artifact, (B, 1, H, W), without gradient (eqs. 2 to 4).

    The residual |SR - HR| is summed over the channels. Its variance in a window with reflected borders is large at
    artifacts. It is scaled by the fifth root of the residual's variance over the whole image.
    """
    residual = (hr - sr).detach().float().abs().sum(1, keepdim=True)
    padded = F.pad(residual, (WINDOW // 2,) * 4, mode="reflect")
    patches = padded.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)
    local = patches.flatten(4).var(-1)
    whole: Tensor = residual.flatten(1).var(1).pow(1 / ROOT).view(-1, 1, 1, 1)
    return whole * local


def artifacts(sr: Tensor, hr: Tensor, steady: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference, weighted by the artifact map (eq. 6).

    Args:
        sr: the generator's images; only these receive a gradient.
        hr: the target images.
        steady: images of the averaged (EMA) generator, which have fewer artifacts. The map is set to 0 where SR is
            closer to HR than they are (eq. 5). None uses the whole map.
    """
    weight = artifact_map(sr, hr)
    if steady is not None:
        own, averaged = ((hr - image).detach().float().abs().sum(1, keepdim=True) for image in (sr, steady))
        weight = weight * (own >= averaged)
    return torch.mean(weight * (sr - hr).abs())
