"""Perceptual loss: distance between a frozen network's features of SR and HR (Johnson et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.losses.optional.lpips_heads import headed_distance

Criterion = Literal["l1", "mse", "cosine", "lpips"]


def cosine(sr: Tensor, hr: Tensor) -> Tensor:
    """1 - cos of the angle between the channels of each place, mean over the places of (B, C, h, w).

    Half the squared distance of the channels scaled to length 1: LPIPS with all its weights equal (Zhang et al. 2018,
    eq. 1). No scale of the features matters.
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
    """Sum over taps of weight x mean distance; Gram-GAN takes 1/8 conv3_4 + 1/4 conv4_4 + 1/2 conv5_4 with L1.

    Args:
        sr, hr: features by tap name, (B, C, h, w) each; gradient goes into ``sr`` only.
        weights: weight by tap name; every name must be in ``sr`` and ``hr``.
        criterion: 'l1', 'mse', 'cosine', or 'lpips', which is LPIPS where all five weights are 1.
        heads: for 'lpips', the weights of each tap's channels (``lpips_heads.py``).
    """

    def distance(tap: str) -> Tensor:
        seen, wanted = sr[tap].float(), hr[tap].detach().float()
        if criterion == "lpips":
            assert heads is not None
            return headed_distance(seen, wanted, heads[tap])
        return DISTANCES[criterion](seen, wanted)

    return torch.stack([weight * distance(tap) for tap, weight in weights.items()]).sum()
