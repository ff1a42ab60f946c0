"""What a caller has to know of a network without looking inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

Hyperparameters = Mapping[str, Any]


@dataclass(frozen=True)
class Descriptor:
    """The facts of one built network. All networks take and give RGB or grey in [0, 1], (B, C, H, W)."""

    arch: str
    """Name in the table of architectures."""
    scale: int
    """Output side over input side."""
    in_channels: int
    """Channels of the input."""
    out_channels: int
    """Channels of the output."""
    multiple_of: int
    """Input sides must divide by this; callers pad where they don't."""
    receptive_radius: int
    """How many input pixels away an output pixel can see; a tile's halo of this size makes tiling exact."""
    dtypes: tuple[str, ...]
    """Precisions that the network is meant to run in: 'fp32', 'bf16', 'fp16'."""
    needs_reference: bool = False
    """Whether ``forward`` takes a reference picture after the LR one."""


@dataclass(frozen=True)
class Architecture:
    """One row of the table: how a network is built from hyperparameters, and how it is described."""

    name: str
    """Its name on the command line and in weights' headers."""
    build: Callable[..., nn.Module]
    """Takes the hyperparameters as keywords."""
    describe: Callable[..., Descriptor]
    """Takes the same keywords."""
    summary: str
    """One line for lists."""
