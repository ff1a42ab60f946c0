"""Choice of the photos that are held out of training for validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

MOST = 8
"""Maximum number of held-out photos."""
ONE_IN = 20
"""One photo in this many is held out."""

T = TypeVar("T")


def held_out_indices(count: int) -> list[int]:
    """Return the indices of held-out photos among ``count``, evenly spaced; none of a single photo."""
    if count < 2:
        return []
    held = min(MOST, max(1, count // ONE_IN))
    return [(2 * i + 1) * count // (2 * held) for i in range(held)]


def shared_indices(photos: Sequence[Path], others: Sequence[Path]) -> list[int]:
    """Return the indices of the photos that are the same files as some of ``others``."""
    files = {path.resolve() for path in others}
    return [index for index, path in enumerate(photos) if path.resolve() in files]


def split_held_out(photos: Sequence[T]) -> tuple[list[T], list[T]]:
    """Split photos into (training photos, held-out photos)."""
    indices = set(held_out_indices(len(photos)))
    rest = [photo for index, photo in enumerate(photos) if index not in indices]
    return rest, [photo for index, photo in enumerate(photos) if index in indices]
