"""Pixel losses between SR and HR, both (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean absolute difference."""
    return F.l1_loss(sr, hr)


def mse(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean squared difference."""
    return F.mse_loss(sr, hr)


def charbonnier(sr: Tensor, hr: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Return the mean of sqrt(d^2 + epsilon^2), an L1 that is smooth at 0 (Lai et al. 2017, "LapSRN", eq. 6)."""
    return torch.sqrt((sr - hr).square() + epsilon**2).mean()
