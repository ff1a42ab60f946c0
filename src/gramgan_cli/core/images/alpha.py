"""Transparency: keeping the colours of invisible pixels from bleeding into visible ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def extend_colours(image: Array) -> Array:
    """Give fully transparent pixels the colour of the nearest visible one; (H, W, 2 or 4) with straight alpha.

    The colours hidden there, often black, would otherwise make a dark fringe when the image is enlarged. Alpha is not
    changed. An image without visible pixels is returned unchanged.
    """
    hidden = image[:, :, -1] == 0
    if not hidden.any() or hidden.all():
        return image
    from scipy import ndimage  # imported here: it takes 0.2 s, and images without transparency do not need it

    rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    extended: Array = image[rows, columns]
    extended[:, :, -1] = image[:, :, -1]
    return extended


def flatten_on_white(image: Array, white: float) -> Array:
    """Composite (H, W, 2 or 4) with straight alpha over white: (H, W, 1 or 3)."""
    with np.errstate(invalid="ignore", over="ignore"):  # floats may have any value
        alpha = image[:, :, -1:].astype(np.float32) / white
        flat: Array = image[:, :, :-1] * alpha + white * (1 - alpha)
        rounded: Array = np.floor(flat + 0.5).astype(image.dtype)
    return flat if image.dtype == np.float32 else rounded
