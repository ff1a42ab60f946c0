"""A loss of our own on local mean colours, which keeps feature losses from tinting flat regions."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

REGION, STEP = 8, 4
"""Side and stride of the regions, in pixels."""


def means(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the L1 distance of the mean colours of overlapping regions of 8 x 8 px.

    Args:
        sr, hr: RGB (B, 3, H, W) in [0, 1], sides of at least 8 px.

    Returns:
        A scalar, differentiable in ``sr``, in the unit of the L1 content loss.
    """
    return F.avg_pool2d(sr - hr, REGION, STEP).abs().mean()
