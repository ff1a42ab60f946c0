"""Speeds of models that were measured on this computer, kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.io.locks import exclusive

FILE = "speeds.json"
"""Name of the file in the cache folder: {SHA-256 of the weights: fields of ``Speed``}."""


@dataclass(frozen=True)
class Speed:
    """Speed of one model on this computer."""

    megapixels_per_second: float
    """Megapixels of the result per second of upscaling, without reading and writing files."""
    device: str
    """Device that ran the network, such as 'cpu'."""
    measured: str
    """Date of the measurement, as YYYY-MM-DD."""

    def seconds(self, scale: int) -> float:
        """Seconds for a photo of 1 megapixel, enlarged by ``scale``."""
        return scale**2 / self.megapixels_per_second


def read_speeds() -> dict[str, Speed]:
    """Return the measured speeds by the SHA-256 of the weights; without a readable file, an empty dictionary."""
    try:
        stored = json.loads((cache_dir() / FILE).read_text(encoding="utf-8"))
        speeds = {str(key): Speed(**fields) for key, fields in stored.items()}
        return {key: speed for key, speed in speeds.items() if speed.megapixels_per_second > 0}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}  # the cache can be deleted at any time, and a damaged file is worth no more than a missing one


def record_speeds(speeds: Mapping[str, Speed]) -> None:
    """Add speeds, by the SHA-256 of the weights, to those that were measured before.

    A cache that can't be written to is ignored: the caller has its measurement, and only the list of models lacks it.
    """
    if not speeds:
        return
    path = cache_dir() / FILE
    with suppress(GramganError, OSError), exclusive(cache_dir() / "locks" / "speeds.lock"):
        every = {**read_speeds(), **speeds}
        with replacing(path) as temporary:
            text = json.dumps({key: asdict(speed) for key, speed in every.items()}, indent=1)
            temporary.write_text(text, encoding="utf-8")
