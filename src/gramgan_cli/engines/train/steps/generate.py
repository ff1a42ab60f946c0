"""Forward pass of a generator in training, with or without a reference."""

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
    """Output of a generator for a batch."""

    sr: Tensor
    """(b, 3, H, W), float32; grey as three equal channels."""
    texture: Texture | None
    """Textures taken from the reference, for the transferal loss; None without a reference."""
    lr: Tensor | None = None
    """The network's input; None for networks with a reference."""


def generate(
    network: Callable[..., Any],
    described: Descriptor,
    lr: Tensor,
    ref: Tensor | None,
    precision: str,
    device: torch.device,
) -> Generated:
    """Generate SR from ``lr`` (b, C, h, w) in ``precision``, with textures of ``ref`` if the network takes one.

    Without a reference, LR is padded to a size that the network accepts.
    """
    with autocast(precision, device):
        if ref is None:
            sr = run_padded(network, lr, described.multiple_of, described.scale)
            return Generated(as_rgb(sr.float()), None, lr)
        sr, texture = network(lr, ref, with_texture=True)
    return Generated(sr.float(), texture)
