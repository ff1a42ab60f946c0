"""What the four embedded models are together, where the amount of denoising is chosen photo by photo."""

from __future__ import annotations

import hashlib

from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.mixing.square import CORNERS, square_model


def automatic_header(style: float) -> WeightsHeader:
    """What the models say of themselves that a photo may get: that of their mixture."""
    return load_model(square_model(0.5, style)).header


def automatic_sha256() -> str:
    """One checksum of the four weights files."""
    files = [(name, store.get(name).sha256) for name in sorted(CORNERS)]
    return hashlib.sha256(repr(files).encode()).hexdigest()
