"""Networks of other projects, which the package spandrel builds from their tensors: what our table knows of them."""

from __future__ import annotations

from typing import NoReturn

from gramgan_cli.core.archs.descriptor import Architecture, Descriptor

ARCH = "spandrel"
"""What a header and a recipe call them; the network itself is known from the tensors alone."""

HALO = 32
"""Input pixels around a tile. These networks don't say how far they look, so their tiles are an approximation."""


def _build(design: str = "", scale: int = 4, multiple_of: int = 1, dtypes: tuple[str, ...] = ("fp32",)) -> NoReturn:
    """Never: the facts that a header stores don't say how the network is made."""
    del scale, multiple_of, dtypes
    raise ValueError(f"a {design or 'network'} of spandrel's is made from weights alone")


def describe_other(
    design: str = "", scale: int = 4, multiple_of: int = 1, dtypes: tuple[str, ...] = ("fp32",)
) -> Descriptor:
    """The descriptor of a network that spandrel identified."""
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
"""Its row of the table: found by name, and not among those that can be trained from random weights."""
