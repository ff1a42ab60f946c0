"""Upscaling of floating-point images: value range and no-data values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.nodata import Enlarge, filled, nodata_mask, percentage, restored

Array = NDArray[Any]


def float_bands(
    image: Array,
    enlarge: Enlarge,
    size: tuple[int, int],
    declared: float | None,
    any_range: bool,
    on_warning: Callable[[str], None],
) -> Iterator[Array]:
    """Return the result's bands.

    Args:
        image: (H, W, C) float32 of any range; values may be non-finite.
        enlarge: upscales an image to bands of ``size``.
        size: (height, width) of the result.
        declared: the file's no-data value.
        any_range: whether ``enlarge`` accepts any values; otherwise it takes [0, 1].
        on_warning: called with one sentence per warning.
    """
    mask = nodata_mask(image, declared)
    valid = image if mask is None else filled(image, mask)
    bands = enlarge(valid) if any_range else _in_own_range(valid, enlarge, on_warning)
    if mask is None:
        return bands
    on_warning(
        f"{percentage(mask)} of its values are no data (not finite, declared, or far from all others) "
        "and were kept unchanged."
    )
    return restored(bands, image, mask, size)


def own_range(image: Array) -> tuple[float, float]:
    """Return the values of a floating-point image that the network gets as 0 and 1; the range includes [0, 1]."""
    return min(0.0, float(image.min())), max(1.0, float(image.max()))


def scaled(image: Array, value_range: tuple[float, float]) -> Array:
    """Scale an image from ``own_range`` to [0, 1]."""
    low, high = value_range
    return image if (low, high) == (0.0, 1.0) else (image - low) / (high - low)


def _in_own_range(image: Array, enlarge: Enlarge, on_warning: Callable[[str], None]) -> Iterator[Array]:
    """Upscale an image whose values may exceed [0, 1], by scaling them to [0, 1] for the network and back."""
    low, high = own_range(image)
    if (low, high) == (0.0, 1.0):
        return enlarge(image)
    on_warning(f"Values from {low:g} to {high:g} were scaled to 0..1 for the network, and back.")
    return (band * np.float32(high - low) + np.float32(low) for band in enlarge(scaled(image, (low, high))))
