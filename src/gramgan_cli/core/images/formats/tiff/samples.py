"""Decoding TIFF pages whose samples Pillow can't represent (TIFF 6.0)."""

from __future__ import annotations

import re
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats.tiff.structure import Page
from gramgan_cli.core.images.metadata.ifd import DamagedTiff
from gramgan_cli.core.images.photo import Unsupported
from gramgan_cli.core.images.samples import WHITE, stretched, with_axis

Array = NDArray[Any]


JPEG = 7
"""Compression that converts YCbCr to RGB by itself."""

PILLOW_LACKS = (34887, 50001)
"""Compressions that Pillow's wheels do not include: LERC, WebP."""


COMPRESSIONS = {
    33003: "JPEG 2000 compression",
    33005: "JPEG 2000 compression",
    34661: "JBIG compression",
    34712: "JPEG 2000 compression",
    34933: "PNG compression",
    34934: "JPEG XR compression",
    22610: "JPEG XR compression",
    50002: "JPEG XL compression",
    52546: "JPEG XL compression",
}
"""Compressions that libtiff lacks, by their tags (TIFF's registry, DNG 1.7, tifffile)."""


def is_deep(page: Page) -> bool:
    """Return whether Pillow would lose precision (grey or RGB above 8 bits), or lacks the depth or compression."""
    odd = page.bits not in (1, 2, 4, 8) or (page.bits == 8 and page.compression in PILLOW_LACKS)
    return page.photometric in (0, 1, 2) and odd


def check_known(page: Page) -> None:
    """Raise Unsupported for sample types that can't be represented, or that no decoder reads correctly."""
    name = {2: "int", 3: "float", 5: "complex int", 6: "complex"}.get(page.format, "uint")
    floats = page.format == 3
    read = page.bits in (16, 32, 64) if floats else page.bits <= 32 and page.bits != 24 and page.format in (0, 1, 4)
    if not read:
        raise Unsupported(f"TIFF with {name}{page.bits} samples")


def decode_deep(data: bytes, page: Page) -> Array:
    """Decode a page's samples: (H, W, samples) uint8, uint16 or float32.

    Samples of 9 to 15 bits are stretched to 16. White-is-zero is inverted, premultiplied alpha is divided out, and
    samples of unknown meaning are dropped. Raises DamagedTiff and Unsupported.
    """
    try:
        array = imagecodecs.tiff_decode(data, index=page.index)
    except Exception as error:  # imagecodecs raises its own TiffError, ValueError, RuntimeError and more
        raise _explained(error, page) from error
    if array.ndim == 2:
        array = with_axis(array)
    if array.ndim == 3 and page.planar and array.shape[1:] == (page.height, page.width):
        array = np.moveaxis(array, 0, 2)
    if array.ndim != 3 or array.shape[:2] != (page.height, page.width):
        raise DamagedTiff(f"its pixels have an unexpected shape, {array.shape}")
    array = _to_known_dtype(array, page.bits)
    colours = 3 if page.photometric == 2 else 1
    if page.photometric == 0:
        array[:, :, :1] = array.dtype.type(WHITE[array.dtype]) - array[:, :, :1]
    with_alpha = array.shape[2] > colours and page.extra[:1] in ((1,), (2,))
    array = array[:, :, : colours + with_alpha]
    return _straight(array) if with_alpha and page.extra[0] == 1 else array


def _explained(error: Exception, page: Page) -> Exception:
    """The error of a page that libtiff can't decode: damaged, or of a compression that it was built without."""
    if re.search(r"compression .*not (implemented|configured|supported)|codec", str(error), re.IGNORECASE):
        compression = COMPRESSIONS.get(page.compression, f"compression {page.compression}")
        return Unsupported(f"TIFF with {compression}")
    return DamagedTiff(str(error))


def channels_as_rgb(page: Page) -> int:
    """Return the channels that ``decode_as_rgb`` gives; 0 for unsupported pages."""
    if page.bits not in (1, 2, 4, 8) or page.photometric not in (0, 1, 2, 3, 6):
        return 0
    colours = 1 if page.photometric in (0, 1) else 3
    return colours + (page.samples > colours and page.extra[:1] in ((1,), (2,)))


def decode_as_rgb(data: bytes, page: Page) -> Array:
    """Decode a page of up to eight bits with libtiff, which converts all colour models to RGB: (H, W, 1 to 4) uint8.

    Raises DamagedTiff.
    """
    try:
        # Without RGB conversion where possible, because it would also rotate, and multiply colours by alpha.
        raw = page.bits == 8 and (page.photometric in (0, 1, 2) or page.compression == JPEG)
        array = with_axis(imagecodecs.tiff_decode(data, index=page.index, asrgb=not raw))
    except Exception as error:  # imagecodecs raises its own TiffError, ValueError, RuntimeError and more
        raise _explained(error, page) from error
    if raw and page.planar and array.shape[1:] == (page.height, page.width):
        array = np.moveaxis(array, 0, 2)
    if raw and page.photometric == 0:
        array[:, :, :1] = 255 - array[:, :, :1]
    channels = channels_as_rgb(page)
    if channels == 2 and array.shape[2] == 4:
        array = array[:, :, [0, 3]]
    return _straight(array[:, :, :channels]) if raw and page.extra[:1] == (1,) else array[:, :, :channels]


def as_read(page: Page, value: float | None) -> float | None:
    """Convert a value of a page's samples to its value in memory: stretched, reduced, inverted; None if impossible."""
    if value is None or page.format == 3:
        return value
    top = 2**page.bits - 1
    if not 0 <= value <= top:
        return None
    white = 255 if page.bits <= 8 else 65535
    read = (int(value) * white + top // 2) // top
    return float(white - read if page.photometric == 0 else read)


def _to_known_dtype(array: Array, bits: int) -> Array:
    """Convert integers of up to 8 bits to uint8, of up to 32 to uint16, floats to float32; else raise Unsupported."""
    if array.dtype in (np.float16, np.float32, np.float64):
        with np.errstate(invalid="ignore", over="ignore"):
            return array.astype(np.float32)
    if array.dtype not in (np.uint8, np.uint16, np.uint32):
        raise Unsupported(f"TIFF with {array.dtype} samples")
    if bits in (8, 16):
        return array
    top = 2**bits - 1
    return stretched(array, top) if bits > 8 else ((array.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def _straight(array: Array) -> Array:
    """Convert premultiplied to straight alpha."""
    white = WHITE[array.dtype]
    alpha = array[:, :, -1:].astype(np.float32) / white
    with np.errstate(invalid="ignore", over="ignore"):
        colours = np.divide(array[:, :, :-1], alpha, out=np.zeros(array[:, :, :-1].shape, np.float32), where=alpha > 0)
    out = array.copy()
    out[:, :, :-1] = colours if array.dtype == np.float32 else np.clip(np.floor(colours + 0.5), 0, white)
    return out
