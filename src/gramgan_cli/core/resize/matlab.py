"""MATLAB-compatible ``imresize`` (bicubic, antialiased), which the papers use to make LR images.

The resize runs one pass per axis, rows first. With 8-bit or 16-bit input, each pass rounds half up to that type, as
MATLAB does for ``uint8`` and ``uint16`` images. Float input is never rounded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Border = Literal["symmetric", "replicate", "wrap"]

Sample = TypeVar("Sample", bound=np.generic)


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' cubic convolution kernel with a = -0.5 (Keys 1981, eq. 15), support [-2, 2]."""
    a = np.abs(x)
    near = 1.5 * a**3 - 2.5 * a**2 + 1
    far = -0.5 * a**3 + 2.5 * a**2 - 4 * a + 2
    return np.where(a <= 1, near, np.where(a <= 2, far, 0.0))


def _fold(index: NDArray[np.int64], length: int, border: Border) -> NDArray[np.int64]:
    """Map indices outside [0, length) back inside: mirrored with the edge repeated, clamped, or wrapped around."""
    if border == "wrap":
        return np.mod(index, length)
    if border == "replicate":
        return np.clip(index, 0, length - 1)
    wrapped = np.mod(index, 2 * length)
    return np.where(wrapped < length, wrapped, 2 * length - 1 - wrapped)


@lru_cache(maxsize=32)
def contributions(
    in_length: int, out_length: int, scale: float, border: Border = "symmetric"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return source indices and weights of every output sample along one axis.

    Both arrays are (out_length, taps), and each row of weights sums to 1. When reducing, the kernel is stretched by
    1/scale, which is MATLAB's antialiasing.
    """
    stretch = min(scale, 1.0)
    width = 4.0 / stretch
    centre = (np.arange(out_length) + 0.5) / scale - 0.5
    first = np.floor(centre - width / 2).astype(np.int64)
    index = first[:, None] + np.arange(int(np.ceil(width)) + 2)
    weight = cubic((centre[:, None] - index) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.any(weight != 0, axis=0)
    return _fold(index[:, used], in_length, border), weight[:, used]


def _resize_axis(
    image: NDArray[np.float64], axis: int, out_length: int, scale: float, border: Border
) -> NDArray[np.float64]:
    """Resize along one axis, as a weighted sum of shifted views."""
    index, weight = contributions(image.shape[axis], out_length, scale, border)
    source = np.moveaxis(image, axis, 0)
    shape = (-1,) + (1,) * (source.ndim - 1)
    out = np.zeros((out_length, *source.shape[1:]))
    for tap in range(index.shape[1]):
        out += weight[:, tap].reshape(shape) * source[index[:, tap]]
    return np.moveaxis(out, 0, axis)


Levels = NDArray[np.uint8 | np.uint16]
"""Samples of 8 or 16 bits."""


def round_to_8bit(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round half up and clip to 0..255."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


@overload
def imresize(
    image: NDArray[np.uint8], scale: float, *, size: tuple[int, int] | None = None, border: Border = "symmetric"
) -> NDArray[np.uint8]: ...


@overload
def imresize(
    image: Levels, scale: float, *, size: tuple[int, int] | None = None, border: Border = "symmetric"
) -> Levels: ...


@overload
def imresize(
    image: NDArray[np.floating], scale: float, *, size: tuple[int, int] | None = None, border: Border = "symmetric"
) -> NDArray[np.float64]: ...


def imresize(
    image: Levels | NDArray[np.floating],
    scale: float,
    *,
    size: tuple[int, int] | None = None,
    border: Border = "symmetric",
) -> Levels | NDArray[np.float64]:
    """Resize (H, W) or (H, W, C) by ``scale`` as MATLAB's ``imresize(image, scale, 'bicubic')`` does.

    Args:
        image: ``uint8`` or ``uint16`` (rounded after each pass) or floating point (any range, never rounded).
        scale: output size over input size, e.g. 0.25.
        size: (height, width) of the result; default ``ceil(length * scale)``.
        border: extrapolation beyond the edges: 'symmetric' is MATLAB's, 'replicate' the one that the published x4 sets
            were made with, 'wrap' for seamless textures.

    Returns:
        The dtype of integer input; ``float64`` for floating point.
    """
    height, width = size or tuple(int(np.ceil(n * scale)) for n in image.shape[:2])
    integer = image.dtype in (np.uint8, np.uint16)
    white = 65535 if image.dtype == np.uint16 else 255
    out = image.astype(np.float64)
    for axis, length in ((0, height), (1, width)):
        out = _resize_axis(out, axis, length, scale, border)
        if integer:
            out = np.clip(np.floor(out + 0.5), 0, white)
    return out.astype(image.dtype) if integer else out


def crop_to_multiple(image: NDArray[Sample], scale: int) -> NDArray[Sample]:
    """Crop rows at the bottom and columns at the right so that both sides are multiples of ``scale``."""
    height, width = (n - n % scale for n in image.shape[:2])
    return image[:height, :width]


@overload
def make_lr(hr: NDArray[np.uint8], scale: int, border: Border = "symmetric") -> NDArray[np.uint8]: ...


@overload
def make_lr(hr: Levels, scale: int, border: Border = "symmetric") -> Levels: ...


def make_lr(hr: Levels, scale: int, border: Border = "symmetric") -> Levels:
    """Make the LR image of an 8-bit or 16-bit HR image: crop to a multiple of ``scale``, reduce by MATLAB's bicubic."""
    return imresize(crop_to_multiple(hr, scale), 1.0 / scale, border=border)
