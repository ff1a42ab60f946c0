"""Descriptor: a network's properties that callers need, such as scale and receptive field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

Hyperparameters = Mapping[str, Any]


@dataclass(frozen=True)
class Descriptor:
    """Properties of a built network. All networks map RGB or grey in [0, 1], (B, C, H, W), to the same."""

    arch: str
    """Name of the architecture."""
    scale: int
    """Output side over input side."""
    in_channels: int
    """Channels of the input."""
    out_channels: int
    """Channels of the output."""
    multiple_of: int
    """Input sides must be multiples of this; callers pad otherwise."""
    receptive_radius: int
    """Radius of the receptive field in input pixels; a tile halo of this size makes tiling exact."""
    dtypes: tuple[str, ...]
    """Supported precisions: 'fp32', 'bf16', 'fp16'."""
    needs_reference: bool = False
    """Whether ``forward`` takes a reference image as its second argument."""


@dataclass(frozen=True)
class Architecture:
    """How to build and describe networks of one kind."""

    name: str
    """Name on the command line and in weight headers."""
    build: Callable[..., nn.Module]
    """Builds the network from hyperparameters passed as keywords."""
    describe: Callable[..., Descriptor]
    """Returns its descriptor, from the same keywords."""
    summary: str
    """One-line description for lists."""


def check_equal_channels(network: str, in_nc: int, out_nc: int) -> None:
    """Raise ValueError unless a network that adds its input to its output has as many channels in both."""
    if in_nc != out_nc:
        raise ValueError(
            f"{network} adds its input to its output, so in_nc ({in_nc}) and out_nc ({out_nc}) must be equal"
        )
