"""A loss between wavelet bands: SR and HR, both (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 2
"""How often the coarse band is split again."""


def haar_bands(x: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal Haar transform: (B, C, H, W) -> coarse (B, C, h, w) and detail (B, 3 C, h, w).

    h = floor(H / 2), w = floor(W / 2); an odd last row or column is left out. The details lie left to right, top to
    bottom and across the diagonal.
    """
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    x = x[:, :, :height, :width]
    a, b, c, d = x[:, :, ::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
    detail = torch.cat((a - b + c - d, a + b - c - d, a - b - c + d), dim=1) / 2
    return (a + b + c + d) / 2, detail


def wavelet(sr: Tensor, hr: Tensor) -> Tensor:
    """Sum over two levels of the mean absolute difference of the details (Huang et al. 2017, "Wavelet-SRNet", eq. 5).

    The coarse band is left to the pixel loss.
    """
    total = sr.new_zeros(())
    for _ in range(LEVELS):
        sr, sr_detail = haar_bands(sr)
        hr, hr_detail = haar_bands(hr)
        total = total + F.l1_loss(sr_detail, hr_detail)
    return total
