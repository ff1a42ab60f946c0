"""The eight image orientations (EXIF 2.32, tag 0x0112)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rotate and flip a stored image (H, W, C) upright. Orientations outside 2..8 change nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return (width, height) after ``upright``."""
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def moved_subject(
    values: Sequence[int], size: tuple[int, int], scale: tuple[float, float], orientation: int
) -> list[int]:
    """Return the position of the main subject in a larger, upright image (EXIF 2.32, tags 0x9214 and 0xA214).

    Args:
        values: centre (x, y) in stored pixels, optionally followed by a diameter, or by width and height.
        size: (width, height) of the result, upright.
        scale: the result's width and height over the source's, upright.
        orientation: orientation of the stored source.
    """
    x, y, *extent = values
    width, height = size[0] / scale[0], size[1] / scale[1]
    if orientation in (5, 6, 7, 8):
        x, y, extent = y, x, extent[::-1]
    if orientation in (2, 3, 6, 7):
        x = round(width) - x
    if orientation in (3, 4, 7, 8):
        y = round(height) - y
    moved = [x * scale[0], y * scale[1], *(part * along for part, along in zip(extent, scale, strict=False))]
    return [min(max(round(value), 0), 65535) for value in moved]
