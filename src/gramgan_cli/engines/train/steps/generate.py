"""One forward pass of a generator in training, whether it takes a reference or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.archs.ttsr import Texture
from gramgan_cli.core.tiling.padding import run_padded
from gramgan_cli.engines.train.steps.precision import autocast
from gramgan_cli.engines.train.steps.value_range import as_rgb


class Generated(NamedTuple):
    """What a generator made of a batch."""

    sr: Tensor
    """(b, 3, H, W), float32; grey in three equal channels."""
    texture: Texture | None
    """What the reference lent, for the transferal loss."""
    lr: Tensor | None = None
    """What SR was made of, where the network takes no reference."""


def generate(
    network: Callable[..., Any],
    described: Descriptor,
    lr: Tensor,
    ref: Tensor | None,
    precision: str,
    device: torch.device,
) -> Generated:
    """SR of ``lr`` (b, C, h, w), with the textures of ``ref`` where the network takes one, in a precision.

    LR of a size that the network doesn't take is padded for it.
    """
    with autocast(precision, device):
        if ref is None:
            sr = run_padded(network, lr, described.multiple_of, described.scale)
            return Generated(as_rgb(sr.float()), None, lr)
        sr, texture = network(lr, ref, with_texture=True)
    return Generated(sr.float(), texture)
