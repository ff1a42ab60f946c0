"""Which positions of a set of photos go into the bank: uniform over all pixels of all photos, from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.texture.patchdb.versions import AFFINE_NUMBERS, MARGIN


@dataclass(frozen=True)
class Draw:
    """All that is random about a bank."""

    corners: list[NDArray[np.int64]]
    """Per photo, the patches' top left corners (y, x), (n, 2), in reading order."""
    normals: list[NDArray[np.float64]]
    """Per photo, the numbers of the affine maps, (n, 5)."""


def draw_positions(sizes: Sequence[tuple[int, int]], max_patches: int, patch_size: int, seed: int) -> Draw:
    """Choose ``max_patches`` different positions, each possible position of the whole set being equally likely.

    A position is possible where the patch keeps ``MARGIN`` pixels to every border. A set with fewer positions
    gives them all.

    Args:
        sizes: (height, width) of every photo.
        max_patches: positions at most.
        patch_size: side of a patch.
        seed: equal seeds give equal draws.
    """
    needed = patch_size + 2 * MARGIN
    rows = np.array([max(0, height - needed + 1) for height, _ in sizes], dtype=np.int64)
    columns = np.array([max(0, width - needed + 1) for _, width in sizes], dtype=np.int64)
    ends = np.cumsum(rows * columns)
    total = int(ends[-1])
    if total == 0:
        raise GramganError(
            f"No photo is large enough for patches of {patch_size} px.", f"They need {needed} px a side."
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
