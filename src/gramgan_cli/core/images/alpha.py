"""Transparency: colours that no one sees must not bleed into those that one sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def extend_colours(image: Array) -> Array:
    """(H, W, 2 or 4) with straight alpha: fully transparent pixels take the colour of the nearest visible one.

    Whatever lies hidden there (often black) would otherwise make a dark rim when the picture is enlarged. Alpha stays
    as it is. A picture without any visible pixel is returned unchanged.
    """
    hidden = image[:, :, -1] == 0
    if not hidden.any() or hidden.all():
        return image
    from scipy import ndimage  # takes a fifth of a second, which pictures without transparency need not wait for

    rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    extended: Array = image[rows, columns]
    extended[:, :, -1] = image[:, :, -1]
    return extended


def flatten_on_white(image: Array, white: float) -> Array:
    """(H, W, 2 or 4) with straight alpha -> (H, W, 1 or 3) over a white ground."""
    with np.errstate(invalid="ignore", over="ignore"):  # floats may hold anything
        alpha = image[:, :, -1:].astype(np.float32) / white
        flat: Array = image[:, :, :-1] * alpha + white * (1 - alpha)
        rounded: Array = np.floor(flat + 0.5).astype(image.dtype)
    return flat if image.dtype == np.float32 else rounded
