"""The catalogue: models that the package does not carry, with the checksum that their file must have."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class CatalogueEntry:
    """One model that can be fetched by its name."""

    name: str
    """Its name in the catalogue and, once fetched, in the store."""
    url: str
    """Where the file is published; empty where it lies in the repository only."""
    sha256: str
    """The checksum of the published file, 64 hexadecimal digits."""
    size: int
    """Bytes."""
    licence: str
    """SPDX identifier."""
    arch: str
    """Name in the table of architectures."""
    scale: int
    """Output side over input side."""
    parameters: int
    """Number of learned values."""
    trained_for: str
    """One line: what pictures it was made for."""


def read_catalogue() -> dict[str, CatalogueEntry]:
    """Name -> entry, from ``gramgan_cli/weights/catalogue.toml``."""
    return {name: CatalogueEntry(name=name, **fields) for name, fields in _read().items() if isinstance(fields, dict)}


@dataclass(frozen=True)
class Square:
    """The position in the square of weights that ``gramgan upscale`` uses by default."""

    denoise: float
    """0 to 1."""
    style: float
    """0 to 1."""


def read_square() -> Square:
    """The usual position in the square, from ``gramgan_cli/weights/catalogue.toml``."""
    fields = _read()
    return Square(denoise=fields["denoise"], style=fields["style"])


def _read() -> dict[str, Any]:
    text = (resources.files("gramgan_cli") / "weights" / "catalogue.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
