"""Descriptors for networks that spandrel builds from their weights."""

from __future__ import annotations

from typing import NoReturn

from gramgan_cli.core.archs.descriptor import Architecture, Descriptor

ARCH = "spandrel"
"""Name of these networks in headers and recipes. Spandrel recognises the actual network from its weights."""

HALO = 32
"""Tile halo in input pixels. The receptive fields of these networks are unknown, so tiled results are approximate."""


def _build(design: str = "", scale: int = 4, multiple_of: int = 1, dtypes: tuple[str, ...] = ("fp32",)) -> NoReturn:
    """Always raises: a header does not hold enough to rebuild the network."""
    del scale, multiple_of, dtypes
    raise ValueError(f"a {design or 'network'} of spandrel's can only be built from weights")


def describe_other(
    design: str = "", scale: int = 4, multiple_of: int = 1, dtypes: tuple[str, ...] = ("fp32",)
) -> Descriptor:
    """Return the descriptor of a network that spandrel recognised."""
    return Descriptor(
        arch=design,
        scale=scale,
        in_channels=3,
        out_channels=3,
        multiple_of=multiple_of or 1,
        receptive_radius=HALO,
        dtypes=tuple(dtypes),
    )


OTHER = Architecture(ARCH, _build, describe_other, "any network that spandrel loads, from its weights")
"""Architecture of these networks. It is found by name, but not listed among those that can be trained from scratch."""
