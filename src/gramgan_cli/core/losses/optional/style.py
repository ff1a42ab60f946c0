"""Style loss: distance between the Gram matrices of a frozen network's features (Gatys et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def feature_gram(features: Tensor) -> Tensor:
    """Return the channel Gram matrices of (B, C, h, w), divided by C h w: (B, C, C)."""
    flat = features.float().flatten(2)
    return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


def style(sr: Mapping[str, Tensor], hr: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum over taps of weight x mean absolute difference of the Gram matrices.

    Args:
        sr, hr: features by tap name, each (B, C, h, w); only ``sr`` receives a gradient.
        weights: weight by tap name; every name must be in ``sr`` and ``hr``.
    """
    terms = []
    for tap, weight in weights.items():
        terms.append(weight * F.l1_loss(feature_gram(sr[tap]), feature_gram(hr[tap].detach())))
    return torch.stack(terms).sum()
