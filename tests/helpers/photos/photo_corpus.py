"""A generated corpus of pictures: every format, depth, mode and orientation, with expected values.

PNG and TIFF files are assembled here or by tifffile, not by the code under test.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 21, 34


def scene(channels: int = 3, dtype: Any = np.uint8, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A smooth picture (H, W, C) without symmetry that covers the full range of values."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [x / (width - 1), y / (height - 1), (x + 2 * y) / (width + 2 * height - 3), 1 - 0.9 * x / (width - 1)]
    if channels in (1, 2):
        planes = [planes[2], planes[3]]
    image = np.stack(planes[:channels], axis=2)
    if np.issubdtype(dtype, np.floating):
        return image.astype(dtype)
    return np.floor(image * np.iinfo(dtype).max + 0.5).astype(dtype)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png_rows(samples: np.ndarray, depth: int) -> bytes:
    """Unfiltered rows of (h, w, c) samples at 1 to 16 bits."""
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    elif depth == 8:
        rows = [row.astype(np.uint8).tobytes() for row in samples]
    else:
        bits = np.unpackbits(samples.astype(np.uint8)[:, :, :1], axis=2)[:, :, 8 - depth :]
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    return b"".join(b"\0" + row for row in rows)


def make_png(
    samples: np.ndarray, depth: int, colour: int, interlaced: bool = False, before: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG of (h, w, c) samples; ``before`` are chunks before the image data."""
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    raw = _png_rows(samples, depth)
    if interlaced:
        passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in passes]
        raw = b"".join(_png_rows(part, depth) for part in parts if part.size)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + before
        + chunk(b"IDAT", zlib.compress(raw))
        + after
        + chunk(b"IEND", b"")
    )


def with_pillow(image: np.ndarray | Image.Image, form: str, **options: Any) -> bytes:
    """The picture, encoded by Pillow."""
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    image.save(file, form, **options)
    return file.getvalue()


def with_tifffile(image: np.ndarray, **options: Any) -> bytes:
    """The picture, encoded by tifffile."""
    file = io.BytesIO()
    options.setdefault("photometric", "rgb" if image.shape[-1] in (3, 4) and image.ndim == 3 else "minisblack")
    with tifffile.TiffWriter(file, byteorder=options.pop("byteorder", "<"), bigtiff=options.pop("bigtiff", False)) as t:
        t.write(image, metadata=None, **options)
    return file.getvalue()


def exif_with(orientation: int) -> bytes:
    """A small big-endian EXIF block: maker, orientation and, in the sub-directory, exposure and dimensions."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8769)[0xA002] = WIDTH
    exif.get_ifd(0x8769)[0xA003] = HEIGHT
    return exif.tobytes()


def oriented_jpeg(orientation: int) -> bytes:
    return with_pillow(scene(3), "JPEG", quality=98, subsampling=0, exif=exif_with(orientation))


def seen_upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture upright by the standard's definition (row 0 is the visual top, left, ...), case by case."""
    return {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.transpose(a, (1, 0, 2)),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(np.transpose(a, (1, 0, 2)), 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation](stored)
