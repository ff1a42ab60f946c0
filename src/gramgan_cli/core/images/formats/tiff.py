"""TIFF: what its directories say, decoding what Pillow can't hold, and writing strips as they come (TIFF 6.0)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.ifd import DamagedTiff, Directory, Layout, Value, number, numbers
from gramgan_cli.core.images.photo import Metadata, Unsupported, plausible_dpi

Array = NDArray[Any]

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC = 338, 339, 700, 34675
TILE_OFFSETS, TILE_COUNTS = 324, 325

DEFLATE = 8
ROWS = 64
"""Rows per strip when writing."""

DESCRIPTIVE = frozenset(
    {269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 318, 319, 529, 532, 700, 33432, 33723, 34377}
    | {34675, 18246, 18249, 37510, 40091, 40092, 40093, 40094, 40095, *ifd.SUB_DIRECTORIES}
)
"""Tags that describe the picture, not how this file stores it: they go along."""

LARGEST_PAGES = 4096

COLOUR_MODELS = {
    0: "grey",
    1: "grey",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    32803: "colour filter array",
    34892: "raw",
}
"""Names of photometric interpretations."""

PILLOW_LACKS = (34887, 50001)
"""Compressions that Pillow's wheels don't have: LERC, WebP."""


@dataclass(frozen=True)
class Page:
    """What one directory says of its picture."""

    index: int
    """Position in the chain of directories."""
    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    """0 white is zero, 1 black is zero, 2 RGB, 3 palette, 4 mask, 5 CMYK, 6 YCbCr, 8 Lab."""
    format: int
    """1 unsigned, 2 signed, 3 float."""
    extra: tuple[int, ...]
    """Meaning of the samples beyond the colours: 0 unknown, 1 premultiplied alpha, 2 alpha."""
    compression: int
    orientation: int
    directory: Directory


def read_pages(data: bytes) -> tuple[list[Page], Layout]:
    """The full-size pictures of the file, in order; reduced copies (thumbnails) and masks are left out.

    Raises DamagedTiff: a directory that can't be followed, one that repeats, or pixels that lie outside the file.
    """
    layout = ifd.layout_of(data)
    at, seen, pages = ifd.first_directory(data, layout), set[int](), list[Page]()
    while at:
        if at in seen or len(seen) >= LARGEST_PAGES:
            raise DamagedTiff("its directories run in a circle")
        seen.add(at)
        directory, at = ifd.read_directory(data, at, layout)
        kind = _integer(directory, SUBFILE, layout, 0)
        if kind & 5 == 0 and WIDTH in directory:
            pages.append(_page(len(seen) - 1, directory, layout))
    if not pages:
        raise DamagedTiff("it holds no picture")
    return pages, layout


def check_complete(data: bytes, pages: Iterable[Page], layout: Layout) -> None:
    """Raise DamagedTiff where a page's strips or tiles lie outside the file."""
    if any(_end(page, layout) > len(data) for page in pages):
        raise DamagedTiff("the file ends early")


def completed(data: bytes, pages: Iterable[Page], layout: Layout) -> bytes:
    """A file that was cut off, with zeros for the samples that are missing where they were stored uncompressed."""
    for page in pages:
        size = page.width * page.height * page.samples * page.bits // 8
        if page.compression == 1 and _end(page, layout) <= len(data) + size + 2**16:
            data = data.ljust(_end(page, layout), b"\0")
    return data


def _end(page: Page, layout: Layout) -> int:
    """Where the last strip or tile of a page ends."""
    end = 0
    for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS)):
        if offsets in page.directory and counts in page.directory:
            starts = numbers(page.directory[offsets], layout)
            lengths = numbers(page.directory[counts], layout)
            end = max(end, *(start + length for start, length in zip(starts, lengths, strict=False)), 0)
    return end


def _integer(directory: Mapping[int, Value], tag: int, layout: Layout, default: int) -> int:
    return numbers(directory[tag], layout)[0] if tag in directory else default


def _page(index: int, directory: Directory, layout: Layout) -> Page:
    width, height = _integer(directory, WIDTH, layout, 0), _integer(directory, LENGTH, layout, 0)
    bits = numbers(directory[BITS], layout) if BITS in directory else (1,)
    if width < 1 or height < 1 or len(set(bits)) != 1:
        raise DamagedTiff("its header makes no sense")
    return Page(
        index=index,
        width=width,
        height=height,
        bits=bits[0],
        samples=_integer(directory, SAMPLES, layout, 1),
        photometric=_integer(directory, PHOTOMETRIC, layout, 1),
        format=_integer(directory, SAMPLE_FORMAT, layout, 1),
        extra=numbers(directory[EXTRA_SAMPLES], layout) if EXTRA_SAMPLES in directory else (),
        compression=_integer(directory, COMPRESSION, layout, 1),
        orientation=_integer(directory, ORIENTATION, layout, 1),
        directory=directory,
    )


def resolution(directory: Mapping[int, Value], layout: Layout) -> tuple[float, float] | None:
    """Pixels per inch, where the file says so in inches or centimetres."""
    unit = _integer(directory, RESOLUTION_UNIT, layout, 2)
    if unit not in (2, 3) or X_RESOLUTION not in directory or Y_RESOLUTION not in directory:
        return None
    pair = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        value = directory[tag]
        if value.kind != ifd.RATIONAL or len(value.data) < 8:
            return None
        above, below = layout.unpack("II", value.data, 0)
        pair.append(above / below * (2.54 if unit == 3 else 1.0) if below else 0.0)
    return plausible_dpi(pair[0], pair[1])


def descriptive_exif(directory: Mapping[int, Value], layout: Layout) -> bytes | None:
    """The directory's descriptive tags as an EXIF block (ICC profile and XMP travel apart); None: there are none."""
    kept = {tag: value for tag, value in directory.items() if tag in DESCRIPTIVE and tag not in (ICC, XMP)}
    if not kept:
        return None
    layout = Layout(layout.order)
    start = 8
    return (
        {"<": b"II", ">": b"MM"}[layout.order]
        + layout.pack("HI", 42, start)
        + ifd.pack_directory({tag: value for tag, value in kept.items() if value.kind < ifd.LONG8}, start, layout)
    )


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
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[:2] != (page.height, page.width):
        if array.ndim == 3 and array.shape[1:] == (page.height, page.width):
            array = np.moveaxis(array, 0, 2)  # planes one after another
        else:
            raise DamagedTiff(f"its pixels have the shape {array.shape}")
    array = _to_known_dtype(array, page.bits)
    colours = 3 if page.photometric == 2 else 1
    if page.photometric == 0:
        array[:, :, :1] = _white(array) - array[:, :, :1]
    with_alpha = array.shape[2] > colours and page.extra[:1] in ((1,), (2,))
    array = array[:, :, : colours + with_alpha]
    return _straight(array) if with_alpha and page.extra[0] == 1 else array


def _to_known_dtype(array: Array, bits: int) -> Array:
    """Unsigned integers to uint8 or uint16 (of 32 bits the upper half), floats to float32; Unsupported for the rest."""
    if array.dtype == np.uint16 and bits < 16:
        top = 2**bits - 1
        stretched: Array = ((array.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
        return stretched
    if array.dtype in (np.uint8, np.uint16, np.float32):
        return array
    if array.dtype == np.uint32:
        return (array >> 16).astype(np.uint16)
    if array.dtype in (np.float16, np.float64):
        return array.astype(np.float32)
    raise Unsupported(f"TIFF, samples of type {array.dtype}")


def _white(array: Array) -> Any:
    """Full intensity, in the array's own type."""
    return array.dtype.type(1 if array.dtype == np.float32 else np.iinfo(array.dtype).max)


def _straight(array: Array) -> Array:
    """Premultiplied to straight alpha."""
    white = float(_white(array))
    alpha = array[:, :, -1:].astype(np.float32) / white
    colours = np.divide(array[:, :, :-1], alpha, out=np.zeros(array[:, :, :-1].shape, np.float32), where=alpha > 0)
    out = array.copy()
    out[:, :, :-1] = colours if array.dtype == np.float32 else np.clip(np.floor(colours + 0.5), 0, white)
    return out


class TiffWriter:
    """Writes a TIFF page by page, in deflated strips as the rows come; BigTIFF where 4 GB might not do.

    Args:
        file: seekable, at its start.
        byte_count: bytes of all pixels, uncompressed.
        exif: of any page; the file takes its byte order, which the blocks of all pages must have.
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
        """Write one page from bands of (rows, width, channels) that follow one another from top to bottom.

        Of ``metadata`` profile, XMP, resolution and the descriptive tags of EXIF go into its directory.
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

        directory = _descriptive(metadata.exif) | {
            WIDTH: number(width, layout),
            LENGTH: number(height, layout),
            BITS: shorts(*[8 * dtype.itemsize] * channels),
            COMPRESSION: shorts(DEFLATE),
            PHOTOMETRIC: shorts(1 if channels < 3 else 2),
            STRIP_OFFSETS: Value(offset_kind, layout.pack(layout.offset * len(offsets), *offsets)),
            SAMPLES: shorts(channels),
            ROWS_PER_STRIP: number(ROWS, layout),
            STRIP_COUNTS: Value(ifd.LONG, layout.pack("I" * len(counts), *counts)),
            PLANAR: shorts(1),
            PREDICTOR: shorts(predictor),
            SAMPLE_FORMAT: shorts(*[3 if dtype == np.float32 else 1] * channels),
        }
        if channels in (2, 4):
            directory[EXTRA_SAMPLES] = shorts(2)
        if metadata.dpi:
            directory[RESOLUTION_UNIT] = shorts(2)
            for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), metadata.dpi, strict=True):
                directory[tag] = Value(ifd.RATIONAL, layout.pack("II", round(value * 10000), 10000))
        if metadata.icc:
            directory[ICC] = Value(ifd.UNDEFINED, metadata.icc)
        if metadata.xmp:
            directory[XMP] = Value(ifd.BYTE, metadata.xmp)
        self._append(directory)

    def _append(self, directory: Directory) -> None:
        """Write the directory at the end and link it from the one before."""
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
        """Rows in the file's byte order; predictor 2 stores differences to the pixel on the left (section 14)."""
        if predictor == 2:
            strip = np.concatenate((strip[:, :1], strip[:, 1:] - strip[:, :-1]), axis=1)
        stored = strip.dtype.newbyteorder("<" if self._layout.order == "<" else ">")
        return strip.astype(stored, copy=False).tobytes()


def _descriptive(exif: bytes | None) -> Directory:
    """The tags of an EXIF block that describe a picture, as a TIFF's directory takes them."""
    if exif is None:
        return {}
    source = ifd.layout_of(exif)
    directory, _ = ifd.read_directory(exif, ifd.first_directory(exif, source), source)
    return {tag: value for tag, value in directory.items() if tag in DESCRIPTIVE}


def _strips(bands: Iterable[Array]) -> Iterator[Array]:
    """Rows regrouped into strips of one height (the last may be lower)."""
    rest: Array | None = None
    for band in bands:
        rows = band if rest is None or not len(rest) else np.concatenate((rest, band))
        whole = len(rows) // ROWS * ROWS
        for start in range(0, whole, ROWS):
            yield rows[start : start + ROWS]
        rest = rows[whole:]
    if rest is not None and len(rest):
        yield rest
