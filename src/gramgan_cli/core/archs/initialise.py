"""Initialisations that more than one network uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def icnr_(weight: Tensor, factor: int) -> None:
    """Initialise a sub-pixel convolution so that its output starts as a nearest-neighbour enlargement.

    The ``factor**2`` kernels that PixelShuffle lays side by side start equal (Aitken et al. 2017, "Checkerboard
    artifact free sub-pixel convolution"). Works on any values already in ``weight`` (out, in, kh, kw) or (out,).
    """
    group = factor**2
    weight.copy_(weight[::group].repeat_interleave(group, dim=0))


@torch.no_grad()
def scaled_kaiming_(conv: nn.Conv2d, scale: float) -> None:
    """Kaiming-normal weights (fan-in) times ``scale``, zero bias, as ESRGAN starts its dense blocks."""
    nn.init.kaiming_normal_(conv.weight, a=0, mode="fan_in")
    conv.weight.mul_(scale)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
