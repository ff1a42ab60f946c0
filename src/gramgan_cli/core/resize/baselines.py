"""The interpolations that every network is compared with, by whole factors; 4 where none is named."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.resize.matlab import imresize, round_to_8bit

SCALE = 4
"""The factor where none is given."""


def _with_pillow(image: NDArray[np.uint8], method: Image.Resampling, scale: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((width * scale, height * scale), method))


def nearest(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Each pixel becomes a square of its colour (Pillow's NEAREST)."""
    return _with_pillow(image, Image.Resampling.NEAREST, scale)


def bilinear(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Pillow's BILINEAR."""
    return _with_pillow(image, Image.Resampling.BILINEAR, scale)


def lanczos(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Pillow's LANCZOS (three lobes)."""
    return _with_pillow(image, Image.Resampling.LANCZOS, scale)


def bicubic(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """MATLAB's bicubic on floating point values, rounded once at the end: the papers' bicubic row."""
    exact: NDArray[np.floating] = image.astype(np.float64)
    return round_to_8bit(imresize(exact, scale))


class Baseline(Protocol):
    """An interpolation: ``uint8`` (h, w) or (h, w, 3) and a factor -> the same, ``scale`` times larger."""

    def __call__(self, image: NDArray[np.uint8], scale: int = ..., /) -> NDArray[np.uint8]:
        """Enlarge ``image``."""


BASELINES: dict[str, Baseline] = {
    "nearest": nearest,
    "bilinear": bilinear,
    "bicubic": bicubic,
    "lanczos": lanczos,
}
"""Name on the command line -> function."""

REACH = 4
"""Input pixels that any of them looks to each side (Lanczos: 3, and one for the shifted sampling grid)."""

_PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


def interpolated(image: NDArray[Any], name: str, scale: int = SCALE) -> NDArray[Any]:
    """One of ``BASELINES`` for every kind of picture: (H, W, C) uint8, uint16 or float32, each channel on its own.

    8-bit pictures come out as the functions above make them; the others are computed in floating point and integers
    rounded half up.
    """
    return np.stack([_channel(image[:, :, index], name, scale) for index in range(image.shape[2])], axis=2)


def _channel(channel: NDArray[Any], name: str, scale: int) -> NDArray[Any]:
    if channel.dtype == np.uint8:
        return BASELINES[name](channel, scale)
    height, width = channel.shape
    exact: NDArray[np.floating] = channel.astype(np.float32)
    if name == "bicubic":
        out: NDArray[Any] = imresize(exact, scale)
    else:
        out = np.asarray(Image.fromarray(exact).resize((width * scale, height * scale), _PILLOW[name]))
    if channel.dtype == np.uint16:
        out = np.clip(np.floor(out + 0.5), 0, 65535)
    return out.astype(channel.dtype)
