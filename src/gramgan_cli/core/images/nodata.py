"""Values that are no data, kept away from the network and put back.

Elevation models and measurements mark what was not measured by a value far outside all others (-9999, -3.4e38, NaN), or
by one that the file declares. Enlarged as if it were a value, it would spoil everything near it, and the range that the
rest is brought into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Enlarge = Callable[[Array], Iterator[Array]]
"""Takes (H, W, C) and gives the result's bands, from top to bottom."""

LARGEST = 1e30
"""No measurement is so large."""

MARKS = (-9999.0, -99999.0, -999999.0, -32768.0, -32767.0, -999.0, -9998.0, 9999.0, 99999.0, 1e20, -1e20)
"""Values that are in use for 'no data'."""

FAR = 10.0
"""An extreme value is no data where the distance to all others is so many times their range and magnitude."""

NEAR = 0.5
"""The same for the values in use."""


def nodata_mask(image: Array, declared: float | None) -> Array | None:
    """Which samples of a floating point picture are no data; None: all are valid.

    Args:
        image: (H, W, C), floating point.
        declared: the value that the file itself calls no data.

    Returns:
        (H, W, C), bool.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        mask = ~np.isfinite(image) | (np.abs(image) > LARGEST)
        if declared is not None:
            mask |= image == np.float32(declared)
        for _ in range(8):
            found = _extremes(image[~mask])
            if not found:
                break
            for value in found:
                mask |= image == value
    return mask if mask.any() else None


def _extremes(valid: Array) -> list[float]:
    """The smallest and the largest value, each where it can be no value like the others."""
    if not valid.size:
        return []
    low, high = valid.min(), valid.max()
    core = valid[(valid != low) & (valid != high)]
    if not core.size:
        return []
    first, last = float(core.min()), float(core.max())
    span, magnitude = last - first, max(abs(first), abs(last))
    found = []
    for value, gap in ((float(low), first - float(low)), (float(high), float(high) - last)):
        marked = value in MARKS and gap > NEAR * span and gap > 0
        if marked or (gap > FAR * span and gap > FAR * magnitude and gap > FAR):
            found.append(value)
    return found


def filled(image: Array, mask: Array) -> Array:
    """The picture with no-data samples replaced by the nearest valid ones of their channel (0 where there are none)."""
    from scipy import ndimage  # takes a fifth of a second, which other pictures need not wait for

    made = image.copy()
    for channel in range(image.shape[2]):
        missing = mask[:, :, channel]
        if missing.all():
            made[:, :, channel] = 0
        elif missing.any():
            places = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
            made[:, :, channel] = image[:, :, channel][tuple(places)]
    return made


def restored(bands: Iterator[Array], image: Array, mask: Array, size: tuple[int, int]) -> Iterator[Array]:
    """The result's bands with no-data samples where the source has them, each as the nearest pixel of the source.

    Args:
        bands: (rows, width, C), from top to bottom.
        image, mask: the source as it was, and from ``nodata_mask``.
        size: (height, width) of the result.
    """
    columns = np.minimum(np.arange(size[1]) * image.shape[1] // size[1], image.shape[1] - 1)
    done = 0
    for band in bands:
        rows = np.minimum(np.arange(done, done + len(band)) * image.shape[0] // size[0], image.shape[0] - 1)
        place = np.ix_(rows, columns)
        yield np.where(mask[place], image[place], band)
        done += len(band)


def declared_bands(
    image: Array, enlarge: Enlarge, size: tuple[int, int], declared: float | None, on_warning: Callable[[str], None]
) -> Iterator[Array]:
    """The bands of a picture of integers, of which the file may declare one value to be no data.

    Args:
        image: (H, W, C) uint8 or uint16.
        enlarge: gives bands of ``size``.
        size: (height, width) of the result.
        declared: the value; a pixel is no data where all its colours have it.
        on_warning: called with one sentence where there are such pixels.
    """
    if declared is None:
        return enlarge(image)
    colours = image.shape[2] - (image.shape[2] in (2, 4))
    gone = (image[:, :, :colours] == declared).all(axis=2, keepdims=True)
    if not gone.any():
        return enlarge(image)
    mask = np.broadcast_to(gone, image.shape)
    on_warning(f"{100 * gone.mean():.2g}% of its pixels are declared to be no data: they stay as they are.")
    return restored(enlarge(filled(image, mask)), image, mask, size)
