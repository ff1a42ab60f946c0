"""Structural similarity as a loss: SR and HR, both (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW, SIGMA = 11, 1.5
"""Size and standard deviation of the Gaussian window (Wang et al. 2004, section III.B)."""
C1, C2 = 0.01**2, 0.03**2
"""The paper's constants for values in [0, 1]."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, the finest first (Wang, Simoncelli and Bovik 2003, section 3.2)."""


def _local_mean(x: Tensor) -> Tensor:
    """Return Gaussian-weighted local means without padding: (B, C, H, W) -> (B, C, H - 10, W - 10)."""
    line = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weight = torch.exp(-(line**2) / (2 * SIGMA**2))
    weight = (weight / weight.sum()).expand(x.shape[1], 1, 1, WINDOW)
    across = F.conv2d(x, weight, groups=x.shape[1])
    return F.conv2d(across, weight.mT, groups=x.shape[1])


def _parts(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean SSIM and the mean of its contrast-structure part, each (B, C)."""
    sr, hr = sr.float(), hr.float()
    mean_x, mean_y = _local_mean(sr), _local_mean(hr)
    variances = _local_mean(sr * sr) + _local_mean(hr * hr) - mean_x**2 - mean_y**2
    covariance = _local_mean(sr * hr) - mean_x * mean_y
    structure = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (luminance * structure).mean((2, 3)), structure.mean((2, 3))


def ssim_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return 1 - SSIM, averaged over images and channels (Wang et al. 2004, eq. 13); sides of at least 11 px."""
    return 1 - _parts(sr, hr)[0].mean()


def ms_ssim_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return 1 - MS-SSIM over five scales (Wang, Simoncelli and Bovik 2003, eq. 7); sides of at least 176 px.

    Negative contrast-structure values have no real root and are set to 0.
    """
    least = WINDOW * 2 ** (len(WEIGHTS) - 1)
    if min(sr.shape[2:]) < least:
        raise ValueError(f"MS-SSIM needs {least} px on both sides, not {min(sr.shape[2:])}")
    product = torch.ones(sr.shape[:2], device=sr.device)
    for scale, exponent in enumerate(WEIGHTS):
        whole, structure = _parts(sr, hr)
        last = scale == len(WEIGHTS) - 1
        product = product * torch.relu(whole if last else structure) ** exponent
        sr, hr = F.avg_pool2d(sr, 2), F.avg_pool2d(hr, 2)
    return 1 - product.mean()
