"""A loss between spectra: SR and HR, both (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def frequency(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of the two-dimensional spectra, real and imaginary parts each by itself.

    Between pixels a faint error that spreads over the picture, as fine detail that is too soft does, hides beside few
    large ones; in the spectrum it stands at frequencies of its own (beside L1 in SAFMN: Sun et al. 2023, arXiv
    2302.13800).

    The transform is orthonormal, so that the weight means the same for crops of any size; columns of negative
    frequency repeat the others and are left out.
    """
    spectrum = torch.fft.rfft2(sr - hr, norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()
