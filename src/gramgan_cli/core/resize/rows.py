"""Resizing an image that arrives in row bands, holding only the rows that are still needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.resize.matlab import Border, contributions

Array = NDArray[Any]


def resized_bands(
    bands: Iterable[Array], size: tuple[int, int], new_size: tuple[int, int], border: Border = "symmetric"
) -> Iterator[Array]:
    """Yield the image resized by antialiased bicubic (MATLAB's kernel), in row bands.

    Columns are resized first, then rows, in float32. Integers are rounded half up once, at the end.

    Args:
        bands: (rows, width, C), from top to bottom.
        size: (height, width) of all bands together.
        new_size: (height, width) of the result.
        border: extrapolation beyond the edges; 'wrap' holds all rows, because the first output rows need the last ones.
    """
    rows_index, rows_weight = contributions(size[0], new_size[0], new_size[0] / size[0], border)
    held: Array | None = None
    first = arrived = done = 0
    for band in bands:
        narrow = _columns(band, size[1], new_size[1], border)
        held = narrow if held is None else np.concatenate((held, narrow))
        arrived += len(band)
        ready = _ready(rows_index, done, arrived)
        if ready > done:
            yield _rounded(_rows(held, rows_index[done:ready] - first, rows_weight[done:ready]), band.dtype)
            done = ready
            needed = int(rows_index[done:].min()) if done < new_size[0] else arrived
            held, first = held[needed - first :].copy(), needed


def _ready(index: NDArray[np.int64], done: int, arrived: int) -> int:
    """Return how many output rows can be computed from the rows that have arrived."""
    last_needed = np.maximum.accumulate(index[done:].max(axis=1))
    return done + int(np.searchsorted(last_needed, arrived))


def _columns(band: Array, width: int, new_width: int, border: Border) -> NDArray[np.float32]:
    """Resize columns: (rows, width, C) -> (rows, new_width, C)."""
    index, weight = contributions(width, new_width, new_width / width, border)
    out = np.zeros((len(band), new_width, band.shape[2]), np.float32)
    for tap in range(index.shape[1]):
        out += weight[:, tap].astype(np.float32)[None, :, None] * band[:, index[:, tap]]
    return out


def _rows(held: Array, index: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return weighted sums of the held rows."""
    out = np.zeros((len(index), *held.shape[1:]), np.float32)
    for tap in range(index.shape[1]):
        used = weight[:, tap] != 0  # taps of weight 0 may index rows that have been discarded
        out[used] += weight[used, tap].astype(np.float32)[:, None, None] * held[index[used, tap]]
    return out


def _rounded(rows: NDArray[np.float32], dtype: np.dtype[Any]) -> Array:
    if dtype == np.float32:
        return rows
    whole: Array = np.clip(np.floor(rows + 0.5), 0, np.iinfo(dtype).max).astype(dtype)
    return whole
