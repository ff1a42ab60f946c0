"""Floating point pictures: their range, and values that are no data, kept away from the network and put back.

Elevation models and measurements mark what was not measured by a value far outside all others (-9999, -3.4e38, NaN).
Enlarged as if it were a value, it would spoil everything near it, and the range that the rest is brought into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Enlarge = Callable[[Array], Iterator[Array]]
"""Takes (H, W, C) float32 and gives the result's bands, from top to bottom."""

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


def float_bands(
    image: Array,
    enlarge: Enlarge,
    size: tuple[int, int],
    declared: float | None,
    any_range: bool,
    on_warning: Callable[[str], None],
) -> Iterator[Array]:
    """The result's bands.

    Args:
        image: (H, W, C) float32 of any range, also with values that are not finite.
        enlarge: gives bands of ``size``.
        size: (height, width) of the result.
        declared: the value that the file calls no data.
        any_range: ``enlarge`` takes any values; otherwise it takes [0, 1].
        on_warning: called with one sentence for each thing that a user should know.
    """
    mask = nodata_mask(image, declared)
    valid = image if mask is None else filled(image, mask)
    bands = enlarge(valid) if any_range else _in_own_range(valid, enlarge, on_warning)
    if mask is None:
        return bands
    on_warning(
        f"{100 * mask.mean():.2g}% of its values are no data (not finite, declared, or far from all others): "
        "they stay as they are."
    )
    return restored(bands, image, mask, size)


def _in_own_range(image: Array, enlarge: Enlarge, on_warning: Callable[[str], None]) -> Iterator[Array]:
    """Pictures may go beyond [0, 1]: they are brought into it for the network, and back."""
    low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
    if (low, high) == (0.0, 1.0):
        return enlarge(image)
    on_warning(f"Values from {low:g} to {high:g} were scaled to 0..1 for the network, and back.")
    return (band * np.float32(high - low) + np.float32(low) for band in enlarge((image - low) / (high - low)))
