"""Interpolation baselines for comparison with networks, by integer factors."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.resize.matlab import imresize, round_to_8bit

SCALE = 4
"""Default factor."""


def _with_pillow(image: NDArray[np.uint8], method: Image.Resampling, scale: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((width * scale, height * scale), method))


def nearest(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Repeat each pixel (Pillow's NEAREST)."""
    return _with_pillow(image, Image.Resampling.NEAREST, scale)


def bilinear(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Resize with Pillow's BILINEAR."""
    return _with_pillow(image, Image.Resampling.BILINEAR, scale)


def lanczos(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Resize with Pillow's LANCZOS (three lobes)."""
    return _with_pillow(image, Image.Resampling.LANCZOS, scale)


def bicubic(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Resize with MATLAB's bicubic in floating point, rounded once at the end, as in the papers' bicubic row."""
    exact: NDArray[np.floating] = image.astype(np.float64)
    return round_to_8bit(imresize(exact, scale))


class Baseline(Protocol):
    """An interpolation of ``uint8`` (h, w) or (h, w, 3) by ``scale``, which keeps dtype and channels."""

    def __call__(self, image: NDArray[np.uint8], scale: int = ..., /) -> NDArray[np.uint8]:
        """Enlarge ``image``."""


BASELINES: dict[str, Baseline] = {
    "nearest": nearest,
    "bilinear": bilinear,
    "bicubic": bicubic,
    "lanczos": lanczos,
}
"""Functions by command-line name."""

REACH = 4
"""Largest kernel radius in input pixels (Lanczos: 3, plus one for the shifted sampling grid)."""

_PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


def interpolated(image: NDArray[Any], name: str, scale: int = SCALE) -> NDArray[Any]:
    """Enlarge an image of any supported dtype, (H, W, C) uint8, uint16 or float32, with one of ``BASELINES``.

    Each channel is resized separately. 8-bit images give the same result as the functions above. The others are
    computed in floating point, and integers are rounded half up.
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
