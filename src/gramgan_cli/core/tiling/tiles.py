"""Upscaling an image tile by tile: row bands are yielded as they finish, and the tile size bounds memory.

Each tile has a halo of input around the part that is kept, and the halo's output is discarded. At the image's edges the
window is moved inwards, so the result has no borders that a run on the whole image would not have, and all tiles have
the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import OutOfMemory
from gramgan_cli.core.tiling.padding import reflected

Array = NDArray[Any]
TileFunction = Callable[[Array], Array]
"""(h, w, C) -> (scale h, scale w, C), same dtype. Raises ``OutOfMemory`` if a smaller tile may succeed."""

SMALLEST_TILE = 16
"""Smallest tile side. Below it the halo dominates the work, so running out of memory is an error."""


@dataclass(frozen=True)
class Tiling:
    """How an image is cut, in input pixels."""

    tile: int = 0
    """Maximum side of a tile's kept part; 0 processes the whole image at once. An axis is cut into equal parts, because
    a full tile and a narrow remainder would both cost a full window."""
    halo: int = 0
    """Context around the kept part, on each side."""
    multiple_of: int = 1
    """Sides and corners of windows are multiples of this. The image is reflected at its right and bottom edges if it is
    too small."""
    wrap: bool = False
    """The image continues at its opposite side (seamless textures) instead of ending at its edges."""


@dataclass(frozen=True)
class Span:
    """One tile along one axis: [start, stop) is kept of the window [window, window + size)."""

    start: int
    stop: int
    window: int
    size: int


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def span_at(start: int, length: int, tiling: Tiling) -> Span:
    """Return the tile whose kept part begins at ``start`` on an axis of ``length`` pixels.

    The window is clamped to the padded image, unless the image wraps around.
    """
    padded = _round_up(length, tiling.multiple_of)
    count = -(-length // _round_up(tiling.tile or length, tiling.multiple_of))
    tile = _round_up(-(-length // count), tiling.multiple_of)
    halo = _round_up(tiling.halo, tiling.multiple_of)
    stop = min(start + tile, length)
    if tiling.wrap:
        return Span(start, stop, start - halo, tile + 2 * halo)
    size = min(tile + 2 * halo, padded)
    return Span(start, stop, min(max(start - halo, 0), padded - size), size)


def spans(length: int, tiling: Tiling) -> Iterator[Span]:
    """Yield the tiles of one axis. Their kept parts cover the axis exactly; their windows have one size."""
    start = 0
    while start < length:
        span = span_at(start, length, tiling)
        yield span
        start = span.stop


def _window(image: Array, rows: Span, columns: Span, wrap: bool) -> Array:
    """Return the tile's window. Pixels outside the image are reflected, or wrap around with ``wrap``."""
    part = image
    for axis, span in ((0, rows), (1, columns)):
        inside = span.window >= 0 and span.window + span.size <= image.shape[axis]
        if inside:
            part = part[span.window : span.window + span.size] if axis == 0 else part[:, span.window :][:, : span.size]
        else:
            index = np.arange(span.window, span.window + span.size)
            length = image.shape[axis]
            part = part.take(index % length if wrap else reflected(index, length), axis=axis)
    return np.ascontiguousarray(part)


def _band(image: Array, scale: int, rows: Span, tiling: Tiling, function: TileFunction) -> Array:
    """Return the output rows of one row of tiles."""
    height, width, channels = rows.stop - rows.start, image.shape[1], image.shape[2]
    band = np.empty((height * scale, width * scale, channels), image.dtype)
    top = (rows.start - rows.window) * scale
    for columns in spans(width, tiling):
        result = function(_window(image, rows, columns, tiling.wrap))
        left = (columns.start - columns.window) * scale
        kept = (columns.stop - columns.start) * scale
        band[:, columns.start * scale : columns.stop * scale] = result[top : top + height * scale, left : left + kept]
    return band


def upscaled_bands(
    image: Array,
    scale: int,
    tiling: Tiling,
    function: TileFunction,
    on_smaller_tile: Callable[[int], None] = lambda _tile: None,
    before_rows: Callable[[int], None] = lambda _rows: None,
) -> Iterator[Array]:
    """Yield the output of ``function`` over the whole image, in bands of rows from top to bottom.

    If memory runs out, the tile is halved, the current band is repeated, and the smaller tile is kept for the rest.

    Args:
        image: (H, W, C), any dtype.
        scale: output side over input side.
        tiling: how to cut the image.
        function: applied to each window.
        on_smaller_tile: called with each new tile side.
        before_rows: called before each band, with the number of image rows from the top that must be ready for it.

    Yields:
        Arrays (rows, scale W, C) whose rows add up to scale H.

    Raises:
        OutOfMemory: even the smallest tile does not fit.
    """
    row = 0
    while row < image.shape[0]:
        rows = span_at(row, image.shape[0], tiling)
        before_rows(image.shape[0] if rows.window < 0 else min(rows.window + rows.size, image.shape[0]))
        try:
            band = _band(image, scale, rows, tiling, function)
        except OutOfMemory:
            tile = tiling.tile or max(image.shape[:2])
            if tile <= SMALLEST_TILE:
                raise
            tiling = replace(tiling, tile=max(SMALLEST_TILE, tile // 2))
            on_smaller_tile(tiling.tile)
            continue
        yield band
        row = rows.stop
