"""L_DP, the discriminator perceptual loss (Song et al. 2023, "Gram-GAN", section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_perceptual(sr_maps: Sequence[Tensor], hr_maps: Sequence[Tensor]) -> Tensor:
    """Sum over the discriminator's feature maps of the mean absolute difference between masked SR's and masked HR's.

    Maps are (B, C, h, w), pairwise of one shape. Gradient goes into ``sr_maps`` only.
    """
    terms = [F.l1_loss(sr.float(), hr.detach().float()) for sr, hr in zip(sr_maps, hr_maps, strict=True)]
    return torch.stack(terms).sum()
