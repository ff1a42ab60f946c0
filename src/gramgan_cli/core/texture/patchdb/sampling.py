"""Sampling positions for the bank: uniformly over all pixels of all photos, from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.texture.patchdb.versions import AFFINE_NUMBERS, MARGIN


@dataclass(frozen=True)
class Draw:
    """All random numbers of a bank."""

    corners: list[NDArray[np.int64]]
    """Per photo, the top left corners (y, x) of the patches, (n, 2), in row-major order."""
    normals: list[NDArray[np.float64]]
    """Per photo, the standard normal numbers of the affine maps, (n, 5)."""


def draw_positions(sizes: Sequence[tuple[int, int]], max_patches: int, patch_size: int, seed: int) -> Draw:
    """Draw ``max_patches`` distinct positions, uniformly over all valid positions of all photos.

    A position is valid if the patch lies at least ``MARGIN`` pixels from every border. If there are fewer valid
    positions, all are returned.

    Args:
        sizes: (height, width) of every photo.
        max_patches: maximum number of positions.
        patch_size: side of a patch in pixels.
        seed: equal seeds give equal draws.

    Raises:
        GramganError: no photo is large enough.
    """
    needed = patch_size + 2 * MARGIN
    rows = np.array([max(0, height - needed + 1) for height, _ in sizes], dtype=np.int64)
    columns = np.array([max(0, width - needed + 1) for _, width in sizes], dtype=np.int64)
    ends = np.cumsum(rows * columns)
    total = int(ends[-1])
    if total == 0:
        raise GramganError(
            f"No photo is large enough for patches of {patch_size} px.", f"Photos need {needed} px per side."
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(total, min(max_patches, total), replace=False, shuffle=False))
    normals = rng.standard_normal((len(chosen), AFFINE_NUMBERS))
    cuts = np.searchsorted(chosen, ends[:-1])
    starts = ends - rows * columns
    corners = [
        np.stack(np.divmod(part - start, max(int(width), 1)), axis=-1) + MARGIN
        for part, start, width in zip(np.split(chosen, cuts), starts, columns, strict=True)
    ]
    return Draw(corners, np.split(normals, cuts))
