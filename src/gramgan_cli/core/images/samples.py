"""Sample types: their full intensity, and stretching other bit depths to 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EIGHT, SIXTEEN, FLOAT = np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)
"""Sample types of images in memory."""

WHITE = {EIGHT: 255.0, SIXTEEN: 65535.0, FLOAT: 1.0}
"""Value of full intensity for each sample type."""


def stretched(stored: Array, top: int) -> Array:
    """Stretch samples of 0 to ``top`` (at most 2^32 - 1) to uint16, rounding half up. Larger ones are clipped."""
    values = np.minimum(stored, top).astype(np.uint64)
    return ((values * 65535 + top // 2) // top).astype(np.uint16)


def with_axis(array: Array) -> Array:
    """Return (H, W) as (H, W, 1), and (H, W, C) unchanged."""
    return array if array.ndim == 3 else array[:, :, None]
