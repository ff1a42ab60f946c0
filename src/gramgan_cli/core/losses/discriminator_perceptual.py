"""L_DP, the discriminator perceptual loss (Song et al. 2023, "Gram-GAN", section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_perceptual(sr_maps: Sequence[Tensor], hr_maps: Sequence[Tensor]) -> Tensor:
    """Return the mean absolute difference of the discriminator's features of masked SR and HR, summed over the maps.

    Args:
        sr_maps: feature maps of the masked SR images, (B, C, h, w); only these receive a gradient.
        hr_maps: feature maps of the masked HR images, of the same shapes and order.
    """
    terms = [F.l1_loss(sr.float(), hr.detach().float()) for sr, hr in zip(sr_maps, hr_maps, strict=True)]
    return torch.stack(terms).sum()
