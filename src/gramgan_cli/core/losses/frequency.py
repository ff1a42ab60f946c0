"""Frequency loss between SR and HR, both (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def frequency(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean absolute difference of the 2D Fourier spectra, over real and imaginary parts.

    A pixel loss hardly sees a faint error that is spread over the image, such as fine detail that is too soft. In the
    spectrum the same error is concentrated at a few frequencies. SAFMN uses this loss beside L1 (Sun et al. 2023,
    arXiv 2302.13800).

    The transform is orthonormal, so the loss does not depend on the crop size. Columns of negative frequency are
    redundant for real images and are left out.
    """
    spectrum = torch.fft.rfft2(sr - hr, norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()
