"""Decoding the samples of a TIFF page that Pillow can't hold (TIFF 6.0)."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats.tiff.structure import Page
from gramgan_cli.core.images.metadata.ifd import DamagedTiff
from gramgan_cli.core.images.photo import Unsupported
from gramgan_cli.core.images.samples import WHITE, stretched, with_axis

Array = NDArray[Any]


PILLOW_LACKS = (34887, 50001)
"""Compressions that Pillow's wheels don't have: LERC, WebP."""


def is_deep(page: Page) -> bool:
    """Whether Pillow would lose values (more than eight bits of grey or RGB), or lacks the compression."""
    return page.photometric in (0, 1, 2) and (page.bits > 8 or (page.bits == 8 and page.compression in PILLOW_LACKS))


def decode_deep(data: bytes, page: Page) -> Array:
    """A page's samples as stored: (H, W, samples) uint8, uint16 or float32.

    Those of 9 to 15 bits are stretched to 16. White-is-zero is inverted; premultiplied alpha is divided out; samples of
    unknown meaning are dropped. Raises DamagedTiff and Unsupported.
    """
    try:
        array = imagecodecs.tiff_decode(data, index=page.index)
    except Exception as error:  # imagecodecs raises its own TiffError, ValueError, RuntimeError and more
        raise DamagedTiff(str(error)) from error
    if array.ndim == 2:
        array = with_axis(array)
    if array.ndim != 3 or array.shape[:2] != (page.height, page.width):
        if array.ndim == 3 and array.shape[1:] == (page.height, page.width):
            array = np.moveaxis(array, 0, 2)  # planes one after another
        else:
            raise DamagedTiff(f"its pixels have the shape {array.shape}")
    array = _to_known_dtype(array, page.bits)
    colours = 3 if page.photometric == 2 else 1
    if page.photometric == 0:
        array[:, :, :1] = array.dtype.type(WHITE[array.dtype]) - array[:, :, :1]
    with_alpha = array.shape[2] > colours and page.extra[:1] in ((1,), (2,))
    array = array[:, :, : colours + with_alpha]
    return _straight(array) if with_alpha and page.extra[0] == 1 else array


def _to_known_dtype(array: Array, bits: int) -> Array:
    """Unsigned integers to uint8 or uint16 (of 32 bits the upper half), floats to float32; Unsupported for the rest."""
    if array.dtype == np.uint16 and bits < 16:
        return stretched(array, 2**bits - 1)
    if array.dtype in (np.uint8, np.uint16, np.float32):
        return array
    if array.dtype == np.uint32:
        return (array >> 16).astype(np.uint16)
    if array.dtype in (np.float16, np.float64):
        return array.astype(np.float32)
    raise Unsupported(f"TIFF, samples of type {array.dtype}")


def _straight(array: Array) -> Array:
    """Premultiplied to straight alpha."""
    white = WHITE[array.dtype]
    alpha = array[:, :, -1:].astype(np.float32) / white
    colours = np.divide(array[:, :, :-1], alpha, out=np.zeros(array[:, :, :-1].shape, np.float32), where=alpha > 0)
    out = array.copy()
    out[:, :, :-1] = colours if array.dtype == np.float32 else np.clip(np.floor(colours + 0.5), 0, white)
    return out
