"""The catalogue of models that the package does not contain, with the checksums of their files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class CatalogueEntry:
    """A model that can be downloaded by name."""

    name: str
    """Name in the catalogue and, once downloaded, in the store."""
    url: str
    """URL of the published file; empty if the file is in the repository only."""
    sha256: str
    """Checksum of the published file, 64 hexadecimal digits."""
    size: int
    """Size in bytes."""
    licence: str
    """SPDX identifier."""
    arch: str
    """Name of the architecture."""
    scale: int
    """Output side over input side."""
    parameters: int
    """Number of learned values."""
    trained_for: str
    """One line: the kind of images it was trained for."""


def read_catalogue() -> dict[str, CatalogueEntry]:
    """Return the catalogue's entries by name, from ``gramgan_cli/weights/catalogue.toml``."""
    return {name: CatalogueEntry(name=name, **fields) for name, fields in _read().items() if isinstance(fields, dict)}


@dataclass(frozen=True)
class Square:
    """A position in the square of weights."""

    denoise: float
    """0 to 1."""
    style: float
    """0 to 1."""


def read_square() -> Square:
    """Return the default position in the square, from ``gramgan_cli/weights/catalogue.toml``."""
    fields = _read()
    return Square(denoise=fields["denoise"], style=fields["style"])


def _read() -> dict[str, Any]:
    text = (resources.files("gramgan_cli") / "weights" / "catalogue.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
