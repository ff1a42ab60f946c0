"""What a picture file holds: pixels, and everything around them that must come out again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def plausible_dpi(x: float, y: float) -> tuple[float, float] | None:
    """A resolution in pixels per inch, if it can be one: 0, 1 and absurd numbers stand for 'unknown'."""
    return (x, y) if min(x, y) > 1 and max(x, y) < 65536 else None


def left_out(parts: Iterable[str]) -> tuple[str, ...]:
    """The warning that names parts of a file that its result will not have; nothing where there are none."""
    named = list(dict.fromkeys(parts))
    return (f"Left out of the result: {', '.join(named)}.",) if named else ()


class Unsupported(ValueError):
    """The file is whole, but of a kind that is not read.

    Args:
        kind: which.
        hint: what the user can do.
    """

    def __init__(self, kind: str, hint: str = "Convert it to PNG first.") -> None:
        super().__init__(kind)
        self.hint = hint


class Unreadable(Exception):
    """Why a file can't be read, without its name."""


@dataclass(frozen=True)
class Metadata:
    """What surrounds the pixels. None or empty: the file has none."""

    icc: bytes | None = None
    """The ICC profile that the pixel values are to be read in."""
    exif: bytes | None = None
    """The EXIF block as a TIFF structure, without the 'Exif\\0\\0' prefix."""
    xmp: bytes | None = None
    """The XMP packet (XML)."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical resolution in pixels per inch, for printing."""
    comment: str | None = None
    """The JPEG comment, or PNG's text 'Comment'."""
    software: str | None = None
    """What a result of PNG or TIFF names as its software; other formats say it in EXIF."""
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    """PNG chunks (type, content) that pass from PNG to PNG as they are: gamma, text, time."""
    segments: tuple[tuple[int, bytes], ...] = ()
    """JPEG segments (marker, content) that pass from JPEG to JPEG as they are: IPTC captions and other Photoshop
    resources (APP13), the extension of the XMP packet (APP1), comments after the first one (COM)."""
    pixel_aspect: tuple[int, int] | None = None
    """Pixels per unit of length, without a unit, where they differ in x and y: pixels that are not square."""
    geo: bytes | None = None
    """TIFF's tags of GeoTIFF and GDAL as a TIFF structure, in the byte order of ``exif``."""
    nodata: float | None = None
    """The value that the file itself declares to be no data."""
    turned: bool = False
    """Whether reading has turned the pixels upright."""


@dataclass(frozen=True)
class Animation:
    """The timing of a picture that moves."""

    durations: tuple[float, ...]
    """Milliseconds that each frame stays."""
    plays: int
    """How often it runs; 0 is for ever."""


@dataclass(frozen=True)
class Frame:
    """The shape of one frame or page, upright."""

    width: int
    height: int
    channels: int
    """1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha."""
    dtype: np.dtype[Any]
    """uint8, uint16 or float32 (full intensity 1)."""

    @property
    def byte_count(self) -> int:
        """Bytes of its pixels."""
        return self.width * self.height * self.channels * self.dtype.itemsize


@dataclass(frozen=True)
class Photo:
    """One opened picture file. Its pixels are decoded when ``decode()`` is iterated."""

    name: str
    """What messages call it: the path, or 'standard input'."""
    format: str
    """'png', 'jpg', 'webp', 'tiff', 'gif', 'bmp', 'ppm', 'avif', 'heic' or 'jxl'."""
    frames: tuple[Frame, ...]
    """One for a single picture; an animation's frames; a TIFF's pages."""
    lossless: bool
    """Whether the file's compression keeps every value."""
    decode: Callable[[], Iterator[Array]]
    """Gives each frame as (H, W, channels), upright, C-contiguous. Raises GramganError for damaged files."""
    metadata: Metadata = field(default_factory=Metadata)
    """What surrounds the pixels; of several pages, those of the first."""
    animation: Animation | None = None
    """The timing, where the frames are one after another in time."""
    warnings: tuple[str, ...] = ()
    """What could not be kept while reading, one sentence each."""
    further_pages: tuple[Metadata, ...] = ()
    """What surrounds the pixels of each page after the first."""

    def nodata_of(self, index: int) -> float | None:
        """The value that the file declares to be no data, on one of its frames or pages."""
        pages = (self.metadata, *self.further_pages)
        return pages[min(index, len(pages) - 1)].nodata
