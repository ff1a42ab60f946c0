"""The eight ways in which a camera may have been held (EXIF 2.32, tag 0x0112)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, C) as stored -> as it is to be seen. Values outside 2..8 mean upright already."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """(width, height) after ``upright``."""
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)
