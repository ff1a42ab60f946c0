"""Content of an image file: pixels, and the metadata to be preserved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def plausible_dpi(x: float, y: float) -> tuple[float, float] | None:
    """Return a resolution in pixels per inch if it is plausible. 0, 1 and absurd numbers mean 'unknown'."""
    return (x, y) if min(x, y) > 1 and max(x, y) < 65536 else None


VIDEO = re.compile(rb"MotionPhoto_Data|....ftyp(?!heic|heix|heim|mif1|avif)|....(?:moov|wide)", re.DOTALL)
"""What a video begins with that follows the picture in its file."""


def after_end(rest: bytes) -> Iterator[str]:
    """Yield the name of what follows the end of a picture in its file, if anything does."""
    if VIDEO.search(rest):
        yield "the video (motion photo)"
    elif rest.strip(b"\0\r\n "):
        yield f"{len(rest)} bytes after its end"


def left_out(parts: Iterable[str]) -> tuple[str, ...]:
    """Return a warning that names the parts of a file that the result will not have, or an empty tuple."""
    named = list(dict.fromkeys(parts))
    return (f"Left out of the result: {', '.join(named)}.",) if named else ()


class Unsupported(ValueError):
    """The file is valid, but of an unsupported kind.

    Args:
        kind: description of the kind.
        hint: what the user can do.
    """

    def __init__(self, kind: str, hint: str = "Convert it to PNG first.") -> None:
        super().__init__(kind)
        self.hint = hint


class Unreadable(Exception):
    """The reason why a file can't be read, without its name."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image. None or empty: not present in the file."""

    icc: bytes | None = None
    """ICC profile of the pixel values."""
    exif: bytes | None = None
    """EXIF block as a TIFF structure, without the 'Exif\\0\\0' prefix."""
    xmp: bytes | None = None
    """XMP packet (XML)."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical print resolution in pixels per inch."""
    comment: str | None = None
    """JPEG comment, or PNG text 'Comment'."""
    software: str | None = None
    """Software tag of a PNG or TIFF result; other formats store it in EXIF."""
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    """PNG chunks (type, content) that are copied unchanged from PNG to PNG: gamma, text, time."""
    segments: tuple[tuple[int, bytes], ...] = ()
    """JPEG segments (marker, content) that are copied unchanged from JPEG to JPEG: IPTC captions and other Photoshop
    resources (APP13), extended XMP (APP1), comments after the first one (COM)."""
    pixel_aspect: tuple[int, int] | None = None
    """Pixel density in x and y, without a unit, if pixels are not square."""
    geo: bytes | None = None
    """GeoTIFF and GDAL tags as a TIFF structure, in the byte order of ``exif``."""
    nodata: float | None = None
    """The file's no-data value."""
    turned: bool = False
    """Whether the decoder has rotated the pixels upright."""


@dataclass(frozen=True)
class Animation:
    """Timing of an animated image."""

    durations: tuple[float, ...]
    """Duration of each frame in milliseconds."""
    plays: int
    """How many times it plays; 0 is for ever."""


@dataclass(frozen=True)
class Frame:
    """Shape of one frame or page, upright."""

    width: int
    height: int
    channels: int
    """1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha."""
    dtype: np.dtype[Any]
    """uint8, uint16 or float32 (full intensity 1)."""

    @property
    def byte_count(self) -> int:
        """Size of its pixels in bytes."""
        return self.width * self.height * self.channels * self.dtype.itemsize


@dataclass(frozen=True)
class Photo:
    """An opened image file. Its pixels are decoded when ``decode()`` is iterated."""

    name: str
    """Name for messages: the path, or 'standard input'."""
    format: str
    """'png', 'jpg', 'webp', 'tiff', 'gif', 'bmp', 'ppm', 'avif', 'heic' or 'jxl'."""
    frames: tuple[Frame, ...]
    """One frame for a still image; the frames of an animation; the pages of a TIFF."""
    lossless: bool
    """Whether the file's compression is lossless."""
    decode: Callable[[], Iterator[Array]]
    """Yields each frame as (H, W, channels), upright, C-contiguous. Raises GramganError for damaged files."""
    metadata: Metadata = field(default_factory=Metadata)
    """Metadata; with several pages, of the first page."""
    animation: Animation | None = None
    """Timing, if the frames are an animation."""
    warnings: tuple[str, ...] = ()
    """Warnings about losses while reading, one sentence each."""
    further_pages: tuple[Metadata, ...] = ()
    """Metadata of each further page."""

    def nodata_of(self, index: int) -> float | None:
        """Return the no-data value of a frame or page."""
        pages = (self.metadata, *self.further_pages)
        return pages[min(index, len(pages) - 1)].nodata
