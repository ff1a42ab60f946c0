"""Writing TIFF in deflated strips from row bands (TIFF 6.0)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats.tiff import structure as tags
from gramgan_cli.core.images.metadata import geo, ifd
from gramgan_cli.core.images.metadata.exif import SOFTWARE
from gramgan_cli.core.images.metadata.ifd import Directory, Layout, Value, number
from gramgan_cli.core.images.photo import Metadata

Array = NDArray[Any]


DEFLATE = 8
ROWS = 64
"""Rows per strip."""


class TiffWriter:
    """Writes a TIFF page by page, in deflated strips; as BigTIFF if the file might exceed 4 GB.

    Args:
        file: seekable, at its start.
        byte_count: size of all pixels in bytes, uncompressed.
        exif: block of any page; it sets the file's byte order, which the blocks of all pages must have.
    """

    def __init__(self, file: IO[bytes], byte_count: int, exif: bytes | None) -> None:
        self._file = file
        order = ifd.layout_of(exif).order if exif else "<"
        self._layout = Layout(order, big=byte_count > 3.9 * 2**30)
        mark = {"<": b"II", ">": b"MM"}[order]
        if self._layout.big:
            file.write(mark + self._layout.pack("HHHQ", 43, 8, 0, 0))
        else:
            file.write(mark + self._layout.pack("HI", 42, 0))
        self._link = self._layout.header

    def write_page(
        self,
        bands: Iterable[Array],
        width: int,
        height: int,
        channels: int,
        dtype: np.dtype[Any],
        metadata: Metadata,
    ) -> None:
        """Write one page from bands (rows, width, channels), from top to bottom.

        Profile, XMP, resolution and the descriptive tags of EXIF in ``metadata`` go into its directory.
        """
        offsets, counts = [], []
        predictor = 1 if dtype == np.float32 else 2
        for strip in _strips(bands):
            packed = zlib.compress(self._strip_bytes(strip, predictor), 3)
            offsets.append(self._file.tell())
            counts.append(len(packed))
            self._file.write(packed)
        layout = self._layout
        offset_kind = ifd.LONG8 if layout.big else ifd.LONG

        def shorts(*values: int) -> Value:
            return Value(ifd.SHORT, layout.pack("H" * len(values), *values))

        directory = (
            _tags_of(metadata.exif, tags.DESCRIPTIVE)
            | _tags_of(metadata.geo, geo.TAGS)
            | {
                tags.WIDTH: number(width, layout),
                tags.LENGTH: number(height, layout),
                tags.BITS: shorts(*[8 * dtype.itemsize] * channels),
                tags.COMPRESSION: shorts(DEFLATE),
                tags.PHOTOMETRIC: shorts(1 if channels < 3 else 2),
                tags.STRIP_OFFSETS: Value(offset_kind, layout.pack(layout.offset * len(offsets), *offsets)),
                tags.SAMPLES: shorts(channels),
                tags.ROWS_PER_STRIP: number(ROWS, layout),
                tags.STRIP_COUNTS: Value(ifd.LONG, layout.pack("I" * len(counts), *counts)),
                tags.PLANAR: shorts(1),
                tags.PREDICTOR: shorts(predictor),
                tags.SAMPLE_FORMAT: shorts(*[3 if dtype == np.float32 else 1] * channels),
            }
        )
        if channels in (2, 4):
            directory[tags.EXTRA_SAMPLES] = shorts(2)
        directory |= self._resolution(metadata)
        if metadata.software:
            directory[SOFTWARE] = Value(ifd.ASCII, metadata.software.encode("utf-8", "replace") + b"\0")
        if metadata.icc:
            directory[tags.ICC] = Value(ifd.UNDEFINED, metadata.icc)
        if metadata.xmp:
            directory[tags.XMP] = Value(ifd.BYTE, metadata.xmp)
        self._append(directory)

    def _resolution(self, metadata: Metadata) -> Directory:
        """Return tags for the resolution in pixels per inch, or for the aspect ratio of non-square pixels."""
        if metadata.dpi:
            unit, pairs = 2, [(round(value * 10000), 10000) for value in metadata.dpi]
        elif metadata.pixel_aspect:
            unit, pairs = 1, [(value, 1) for value in metadata.pixel_aspect]
        else:
            return {}
        layout = self._layout
        both = zip((tags.X_RESOLUTION, tags.Y_RESOLUTION), pairs, strict=True)
        made = {tag: Value(ifd.RATIONAL, layout.pack("II", *pair)) for tag, pair in both}
        return made | {tags.RESOLUTION_UNIT: Value(ifd.SHORT, layout.pack("H", unit))}

    def _append(self, directory: Directory) -> None:
        """Write the directory at the end and link it from the previous one."""
        layout = self._layout
        if self._file.tell() % 2:
            self._file.write(b"\0")
        at = self._file.tell()
        self._file.write(ifd.pack_directory(directory, at, layout))
        end = self._file.tell()
        self._file.seek(self._link)
        self._file.write(struct.pack(layout.order + layout.offset, at))
        self._file.seek(end)
        self._link = at + ifd.next_link(directory, layout)

    def _strip_bytes(self, strip: Array, predictor: int) -> bytes:
        """Encode rows in the file's byte order; predictor 2 stores differences to the left pixel (section 14)."""
        if predictor == 2:
            strip = np.concatenate((strip[:, :1], strip[:, 1:] - strip[:, :-1]), axis=1)
        stored = strip.dtype.newbyteorder("<" if self._layout.order == "<" else ">")
        return strip.astype(stored, copy=False).tobytes()


def _tags_of(block: bytes | None, kept: Collection[int]) -> Directory:
    """Return the tags of a block that go into a TIFF directory."""
    if block is None:
        return {}
    source = ifd.layout_of(block)
    directory, _ = ifd.read_directory(block, ifd.first_directory(block, source), source)
    return {tag: value for tag, value in directory.items() if tag in kept}


def _strips(bands: Iterable[Array]) -> Iterator[Array]:
    """Regroup rows into strips of equal height, except the last."""
    rest: Array | None = None
    for band in bands:
        rows = band if rest is None or not len(rest) else np.concatenate((rest, band))
        whole = len(rows) // ROWS * ROWS
        for start in range(0, whole, ROWS):
            yield rows[start : start + ROWS]
        rest = rows[whole:]
    if rest is not None and len(rest):
        yield rest
