"""Perceptual loss: the distance between a frozen network's features of SR and of HR (Johnson et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.losses.optional.lpips_heads import headed_distance

Criterion = Literal["l1", "mse", "cosine", "lpips"]


def cosine(sr: Tensor, hr: Tensor) -> Tensor:
    """Return 1 - cosine similarity of the channel vectors, averaged over all positions of (B, C, h, w).

    This is half the squared distance of the unit-length channel vectors, that is LPIPS with equal weights (Zhang et al.
    2018, eq. 1). It does not depend on the scale of the features.
    """
    return (1 - F.cosine_similarity(sr, hr, dim=1, eps=1e-6)).mean()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "mse": F.mse_loss, "cosine": cosine}


def perceptual(
    sr: Mapping[str, Tensor],
    hr: Mapping[str, Tensor],
    weights: Mapping[str, float],
    criterion: Criterion = "l1",
    heads: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Return the sum over taps of weight x mean distance. Gram-GAN: 1/8 conv3_4 + 1/4 conv4_4 + 1/2 conv5_4 with L1.

    Args:
        sr, hr: features by tap name, each (B, C, h, w); only ``sr`` receives a gradient.
        weights: weight by tap name; every name must be in ``sr`` and ``hr``.
        criterion: 'l1', 'mse', 'cosine' or 'lpips'. With 'lpips' and all five weights 1, the loss is LPIPS.
        heads: channel weights by tap, for 'lpips' only (see ``lpips_heads.py``).
    """

    def distance(tap: str) -> Tensor:
        seen, wanted = sr[tap].float(), hr[tap].detach().float()
        if criterion == "lpips":
            assert heads is not None
            return headed_distance(seen, wanted, heads[tap])
        return DISTANCES[criterion](seen, wanted)

    return torch.stack([weight * distance(tap) for tap, weight in weights.items()]).sum()
