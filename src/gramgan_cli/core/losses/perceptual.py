"""Perceptual loss: distance between a frozen network's features of SR and HR (Johnson et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Criterion = Literal["l1", "mse"]


def perceptual(
    sr: Mapping[str, Tensor], hr: Mapping[str, Tensor], weights: Mapping[str, float], criterion: Criterion = "l1"
) -> Tensor:
    """Sum over taps of weight x mean distance; Gram-GAN takes 1/8 conv3_4 + 1/4 conv4_4 + 1/2 conv5_4 with L1.

    Args:
        sr, hr: features by tap name, (B, C, h, w) each; gradient goes into ``sr`` only.
        weights: weight by tap name; every name must be in ``sr`` and ``hr``.
        criterion: 'l1' or 'mse'.
    """
    distance = F.l1_loss if criterion == "l1" else F.mse_loss
    terms = [weight * distance(sr[tap].float(), hr[tap].detach().float()) for tap, weight in weights.items()]
    return torch.stack(terms).sum()
