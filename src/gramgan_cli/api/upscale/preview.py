"""Upscaling one square of a photo, for the previews of the web interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.api.upscale.pictures import prepared
from gramgan_cli.api.upscale.upscaler import Upscaler
from gramgan_cli.engines.upscale.upscaler import Upscaler as NetworkUpscaler

Array = NDArray[Any]


def upscaled_square(upscaler: Upscaler, image: Array, x: int, y: int, side: int) -> Array:
    """Upscale one square of a photo, to within two levels of the whole photo's result.

    Args:
        upscaler: a loaded model of the square.
        image: the whole photo, (H, W, C), as decoded.
        x: left edge of the square, in pixels of the photo.
        y: top edge of the square.
        side: side of the square in pixels; cropped at the photo's edges.

    Returns:
        (scale h, scale w, C) in the image's dtype.
    """
    source = upscaler.session.source
    assert isinstance(source, NetworkUpscaler)
    halo, scale = source.tiling.halo, upscaler.scale
    left, top = max(0, x - halo), max(0, y - halo)
    window = source.prepared_part(image, slice(top, y + side + halo), slice(left, x + side + halo))
    if window.dtype == np.float32:
        window = np.clip(np.nan_to_num(window), 0, 1)
    enlarged = np.concatenate(list(source.network_bands(prepared(window))))
    height, width = min(side, image.shape[0] - y), min(side, image.shape[1] - x)
    row, column = (y - top) * scale, (x - left) * scale
    return enlarged[row : row + height * scale, column : column + width * scale]
