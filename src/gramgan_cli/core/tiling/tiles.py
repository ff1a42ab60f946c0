"""Upscaling an image tile by tile: row bands come out as they finish, memory is bounded by the tile.

Every tile sees a halo of input around the part that is kept; the halo's result is discarded. At the image's edges the
halo is clamped (the tile moves inward), so no border appears that the whole image would not have had, and all tiles
have one shape.
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
"""(h, w, C) -> (scale h, scale w, C), same dtype. Raises ``OutOfMemory`` where a smaller tile may succeed."""

SMALLEST_TILE = 16
"""Below this the halo is nearly all of the work, so out of memory is final."""


@dataclass(frozen=True)
class Tiling:
    """How an image is cut, in input pixels."""

    tile: int = 0
    """Largest side of the part that is kept of each tile; 0 takes the whole image at once. An axis is cut into equal
    parts: a full tile and a sliver beside it would both cost a full window."""
    halo: int = 0
    """What a tile sees beyond the kept part on each side."""
    multiple_of: int = 1
    """Sides and corners of what a tile sees divide by this; the image is reflected at its right and bottom
    edge where it is too small."""
    wrap: bool = False
    """The image goes on with its opposite side (seamless textures) instead of ending at its edges."""


@dataclass(frozen=True)
class Span:
    """One tile along one axis: rows or columns [start, stop) are kept of [window, window + size)."""

    start: int
    stop: int
    window: int
    size: int


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def span_at(start: int, length: int, tiling: Tiling) -> Span:
    """The tile whose kept part begins at ``start`` on an axis of ``length`` pixels.

    The window is clamped to the (padded) image, or lies where it will if the image wraps around.
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
    """The tiles of one axis: their kept parts follow one another and cover it exactly, their windows have one size."""
    start = 0
    while start < length:
        span = span_at(start, length, tiling)
        yield span
        start = span.stop


def _window(image: Array, rows: Span, columns: Span, wrap: bool) -> Array:
    """What the tile sees; pixels outside the image are its reflection, or its other side where it wraps."""
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
    """The finished output rows of one row of tiles."""
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
) -> Iterator[Array]:
    """The output of ``function`` over the whole image, in bands of rows from top to bottom.

    Out of memory halves the tile and redoes only the band at hand; the smaller tile stays for the rest.

    Args:
        image: (H, W, C), any dtype; only windows of it are handed on.
        scale: output side over input side.
        tiling: how to cut.
        function: what is done with each window.
        on_smaller_tile: called with each new tile side.

    Yields:
        (rows, scale W, C) arrays whose rows add up to scale H.

    Raises:
        OutOfMemory: not even the smallest tile fits.
    """
    row = 0
    while row < image.shape[0]:
        rows = span_at(row, image.shape[0], tiling)
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
