"""Wavelet loss between SR and HR, both (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 2
"""Number of decomposition levels."""


def haar_bands(x: Tensor) -> tuple[Tensor, Tensor]:
    """Apply one level of the orthonormal Haar transform: (B, C, H, W) -> coarse (B, C, h, w), detail (B, 3 C, h, w).

    h = floor(H / 2) and w = floor(W / 2); an odd last row or column is dropped. The detail bands are the horizontal,
    the vertical and the diagonal differences, in this order.
    """
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    x = x[:, :, :height, :width]
    a, b, c, d = x[:, :, ::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
    detail = torch.cat((a - b + c - d, a + b - c - d, a - b - c + d), dim=1) / 2
    return (a + b + c + d) / 2, detail


def wavelet(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean absolute difference of the detail bands, summed over two levels (Huang et al. 2017, eq. 5).

    This is the detail term of "Wavelet-SRNet". The coarse band is left to the pixel loss.
    """
    total = sr.new_zeros(())
    for _ in range(LEVELS):
        sr, sr_detail = haar_bands(sr)
        hr, hr_detail = haar_bands(hr)
        total = total + F.l1_loss(sr_detail, hr_detail)
    return total
