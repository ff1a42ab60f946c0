"""What the directories of a TIFF say (TIFF 6.0)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.ifd import DamagedTiff, Directory, Layout, Value, numbers
from gramgan_cli.core.images.photo import plausible_dpi

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC = 338, 339, 700, 34675
TILE_OFFSETS, TILE_COUNTS = 324, 325


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
        kind = integer(directory, SUBFILE, layout, 0)
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


def integer(directory: Mapping[int, Value], tag: int, layout: Layout, default: int) -> int:
    """The first number of a tag; ``default`` where the directory lacks it. Raises DamagedTiff."""
    return numbers(directory[tag], layout)[0] if tag in directory else default


def _page(index: int, directory: Directory, layout: Layout) -> Page:
    width, height = integer(directory, WIDTH, layout, 0), integer(directory, LENGTH, layout, 0)
    bits = numbers(directory[BITS], layout) if BITS in directory else (1,)
    if width < 1 or height < 1 or len(set(bits)) != 1:
        raise DamagedTiff("its header makes no sense")
    return Page(
        index=index,
        width=width,
        height=height,
        bits=bits[0],
        samples=integer(directory, SAMPLES, layout, 1),
        photometric=integer(directory, PHOTOMETRIC, layout, 1),
        format=integer(directory, SAMPLE_FORMAT, layout, 1),
        extra=numbers(directory[EXTRA_SAMPLES], layout) if EXTRA_SAMPLES in directory else (),
        compression=integer(directory, COMPRESSION, layout, 1),
        orientation=integer(directory, ORIENTATION, layout, 1),
        directory=directory,
    )


def resolution(directory: Mapping[int, Value], layout: Layout) -> tuple[float, float] | None:
    """Pixels per inch, where the file says so in inches or centimetres."""
    unit = integer(directory, RESOLUTION_UNIT, layout, 2)
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
