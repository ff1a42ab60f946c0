"""No-data values, which are replaced for the network and restored in the result.

Elevation models and measurements mark missing values by a number far outside the others (-9999, -3.4e38, NaN), or by
one that the file declares. If such a value were upscaled like data, it would spoil its surroundings, and the range to
which the rest is scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Enlarge = Callable[[Array], Iterator[Array]]
"""Upscales (H, W, C) and yields the result's bands, from top to bottom."""

LARGEST = 1e30
"""Magnitude above which a value can't be a measurement."""

MARKS = (-9999.0, -99999.0, -999999.0, -32768.0, -32767.0, -999.0, -9998.0, 9999.0, 99999.0, 1e20, -1e20)
"""Commonly used no-data values."""

FAR = 10.0
"""An extreme value is no data if its distance to all others exceeds this multiple of their range and magnitude."""

NEAR = 0.5
"""The same multiple for commonly used no-data values, of the range only."""


def nodata_mask(image: Array, declared: float | None) -> Array | None:
    """Return which samples of a floating-point image are no data, or None if all are valid.

    Args:
        image: (H, W, C), floating point.
        declared: the file's no-data value.

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
    """Return the smallest and the largest value if they are too far from the others to be data."""
    if not valid.size:
        return []
    low, high = valid.min(), valid.max()
    core = valid[(valid != low) & (valid != high)]
    if not core.size:  # two values at most, of which only a commonly used mark can be told from data
        marks = [float(value) for value in (low, high) if value in MARKS]
        return marks if len(marks) == 1 and high - low > NEAR * abs(marks[0]) else []
    first, last = float(core.min()), float(core.max())
    span, magnitude = last - first, max(abs(first), abs(last))
    found = []
    for value, gap in ((float(low), first - float(low)), (float(high), float(high) - last)):
        marked = value in MARKS and gap > NEAR * span and gap > 0
        if marked or (gap > FAR * span and gap > FAR * magnitude and gap > FAR):
            found.append(value)
    return found


def percentage(mask: Array) -> str:
    """Return the share of a mask that is set, such as '0.3%'."""
    return f"{float(f'{100 * mask.mean():.2g}'):g}%"


def filled(image: Array, mask: Array) -> Array:
    """Replace no-data samples by the nearest valid ones of their channel (0 if there are none)."""
    from scipy import ndimage  # imported here: it takes 0.2 s, and other images do not need it

    made = image.copy()
    for channel in range(image.shape[2]):
        missing = mask[:, :, channel]
        if missing.all():
            made[:, :, channel] = 0
        elif missing.any():
            nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
            made[:, :, channel] = image[:, :, channel][tuple(nearest)]
    return made


def restored(bands: Iterator[Array], image: Array, mask: Array, size: tuple[int, int]) -> Iterator[Array]:
    """Yield the result's bands with the source's no-data samples restored by nearest-neighbour enlargement.

    Args:
        bands: (rows, width, C), from top to bottom.
        image, mask: the original source, and its mask from ``nodata_mask``.
        size: (height, width) of the result.
    """
    columns = np.minimum(np.arange(size[1]) * image.shape[1] // size[1], image.shape[1] - 1)
    done = 0
    for band in bands:
        rows = np.minimum(np.arange(done, done + len(band)) * image.shape[0] // size[0], image.shape[0] - 1)
        source = np.ix_(rows, columns)
        yield np.where(mask[source], image[source], band)
        done += len(band)


def declared_bands(
    image: Array, enlarge: Enlarge, size: tuple[int, int], declared: float | None, on_warning: Callable[[str], None]
) -> Iterator[Array]:
    """Return the bands of an integer image, for which the file may declare a no-data value.

    Args:
        image: (H, W, C) uint8 or uint16.
        enlarge: upscales an image to bands of ``size``.
        size: (height, width) of the result.
        declared: the no-data value; a pixel is no data if all its colours have it.
        on_warning: called with one sentence if there are such pixels.
    """
    if declared is None:
        return enlarge(image)
    colours = image.shape[2] - (image.shape[2] in (2, 4))
    gone = (image[:, :, :colours] == declared).all(axis=2, keepdims=True)
    if not gone.any():
        return enlarge(image)
    mask = np.broadcast_to(gone, image.shape)
    on_warning(f"{percentage(gone)} of its pixels are declared as no data and were kept unchanged.")
    return restored(enlarge(filled(image, mask)), image, mask, size)
