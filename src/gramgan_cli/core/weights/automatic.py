"""Header and checksum of the four embedded models together, for automatic denoising, which mixes them per photo."""

from __future__ import annotations

import hashlib

from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.square import CORNERS, square_model


def automatic_header(style: float) -> WeightsHeader:
    """Return the header of the models' mixture, which stands for any mixture that a photo may get."""
    return load_model(square_model(0.5, style)).header


def automatic_sha256() -> str:
    """Return one checksum of the four weights files."""
    files = [(name, store.get(name).sha256) for name in sorted(CORNERS)]
    return hashlib.sha256(repr(files).encode()).hexdigest()
