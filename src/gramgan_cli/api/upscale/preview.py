"""Upscaling one square of a photo, for the previews of the web interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.api.upscale.pictures import prepared
from gramgan_cli.api.upscale.upscaler import Upscaler
from gramgan_cli.core.images.floats import own_range, scaled
from gramgan_cli.core.images.nodata import filled, nodata_mask
from gramgan_cli.engines.upscale.upscaler import Upscaler as NetworkUpscaler

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class PreviewPhoto:
    """A photo as the models take it."""

    pixels: Array
    """(H, W, C); colours are extended under transparency, floating-point values are in [0, 1]."""
    value_range: tuple[float, float]
    """Values of a floating-point photo that 0 and 1 stand for."""


def preview_photo(image: Array) -> PreviewPhoto:
    """Prepare a decoded photo (H, W, C) for previews, as upscaling its file does; no-data values are filled in."""
    if image.dtype == np.float32:
        mask = nodata_mask(image, None)
        image = image if mask is None else filled(image, mask)
        image = prepared(image)
        value_range = own_range(image)
        return PreviewPhoto(scaled(image, value_range), value_range)
    return PreviewPhoto(prepared(image), (0.0, 1.0))


def upscaled_square(upscaler: Upscaler, photo: PreviewPhoto, x: int, y: int, side: int) -> Array:
    """Upscale one square of a photo, to within two levels of the whole photo's result.

    Args:
        upscaler: a loaded model of the square.
        photo: the whole photo. The one of the previous call is not examined again.
        x: left edge of the square, in pixels of the photo.
        y: top edge of the square.
        side: side of the square in pixels; cropped at the photo's edges.

    Returns:
        (scale h, scale w, C) in the photo's dtype and range.
    """
    source, image = upscaler.session.source, photo.pixels
    assert isinstance(source, NetworkUpscaler)
    halo, scale = source.tiling.halo, upscaler.scale
    left, top = max(0, x - halo), max(0, y - halo)
    window = source.prepared_part(image, slice(top, y + side + halo), slice(left, x + side + halo))
    enlarged = np.concatenate(list(source.network_bands(window)))
    height, width = min(side, image.shape[0] - y), min(side, image.shape[1] - x)
    row, column = (y - top) * scale, (x - left) * scale
    square = enlarged[row : row + height * scale, column : column + width * scale]
    low, high = photo.value_range
    return square if (low, high) == (0.0, 1.0) else square * np.float32(high - low) + np.float32(low)
