"""Images as 16-bit grey levels, which represent 8-bit ones exactly, for networks with one channel."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.samples import EIGHT, FLOAT

WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in a colour image's luma (ITU-R BT.601, full range)."""

STEP = 257
"""Number of 16-bit levels per 8-bit level: 255 becomes 65535."""


def read_grey(file: Path | BinaryIO, name: str | None = None) -> NDArray[np.uint16]:
    """Read an image as 16-bit grey, upright. Transparency is dropped; colours are converted to luma.

    Args:
        file: a path, or an open file.
        name: name for error messages; defaults to the path.

    Returns:
        (H, W, 1).

    Raises:
        GramganError: the file can't be read as an image.
    """
    try:
        content = file.read_bytes() if isinstance(file, Path) else file.read()
    except OSError as error:
        raise GramganError(f"{name or file} can't be read as an image: {error.strerror or error}.") from error
    pixels = next(open_photo(content, name or str(file)).decode())
    channels = pixels.shape[2]
    if channels in (2, 4):
        pixels = pixels[:, :, :-1]
    if channels <= 2 and pixels.dtype != FLOAT:
        return pixels.astype(np.uint16) * np.uint16(STEP if pixels.dtype == EIGHT else 1)
    white = {EIGHT: STEP, FLOAT: 65535}.get(pixels.dtype, 1)
    levels = np.nan_to_num(pixels.astype(np.float64)) * white
    grey = levels @ WEIGHTS if channels > 2 else levels[:, :, 0]
    rounded: NDArray[np.uint16] = np.floor(np.clip(grey, 0, 65535) + 0.5).astype(np.uint16)[:, :, None]
    return rounded


def as_rgb8(image: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
    """Convert 16-bit grey (H, W, 1) to 8-bit RGB (H, W, 3) for display; return 8-bit RGB unchanged."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    return np.repeat(((image.astype(np.uint32) + STEP // 2) // STEP).astype(np.uint8), 3, axis=2)
