"""Reading the directories of a TIFF (TIFF 6.0)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from gramgan_cli.core.images.kinds import DEVELOP_RAW
from gramgan_cli.core.images.metadata import geo, ifd
from gramgan_cli.core.images.metadata.ifd import DamagedTiff, Directory, Layout, Value, numbers
from gramgan_cli.core.images.photo import Unsupported, plausible_dpi

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC = 338, 339, 700, 34675
TILE_OFFSETS, TILE_COUNTS = 324, 325


DESCRIPTIVE = frozenset(
    {269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 318, 319, 529, 532, 700, 33432, 33723, 34377}
    | {34675, 18246, 18249, 37510, 40091, 40092, 40093, 40094, 40095, *ifd.SUB_DIRECTORIES}
)
"""Tags that describe the image rather than its storage, which are copied to the result."""

STORAGE = frozenset(
    {*range(254, 269), *range(273, 282), 284, 288, 289, 290, 291, 292, 293, 297, 301, 317, 320, *range(321, 331), 332}
    | {334, 336, 338, 339, 340, 341, 342, 346, 347, *range(512, 522), 530, 531, 532, 559, 50674}
)
"""Tags about the storage of the image, which the result has of its own."""

IMAGE_SOURCE_DATA, DNG_VERSION, SUB_DIRECTORIES, IMAGE_DEPTH = 37724, 50706, 330, 32997

RAW_COMPRESSIONS = frozenset((32767, 32769, 32770, 34713, 65535))
"""Compressions of Sony's, Epson's, Samsung's, Nikon's and Pentax's raw files."""

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
    """One image of the file, as its directory describes it."""

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
    planar: bool
    """Whether each sample is stored as an image of its own."""
    directory: Directory


def read_pages(data: bytes) -> tuple[list[Page], Layout, int]:
    """Return the file's full-size images, in order and without thumbnails and masks, its layout, and the mask count.

    Raises DamagedTiff for an invalid directory, a loop of directories, or a file without images; Unsupported for a
    camera raw file.
    """
    layout = ifd.layout_of(data)
    at, seen, pages, raw, masks = ifd.first_directory(data, layout), set[int](), list[Page](), False, 0
    while at:
        if at in seen or len(seen) >= LARGEST_PAGES:
            raise DamagedTiff("its directories form a loop")
        seen.add(at)
        directory, at = ifd.read_directory(data, at, layout)
        raw = raw or is_raw(directory, layout)
        kind = integer(directory, SUBFILE, layout, 0)
        masks += kind & 5 == 4
        if kind & 5 == 0 and WIDTH in directory:
            pages.append(_page(len(seen) - 1, directory, layout))
        elif not pages and SUB_DIRECTORIES in directory:  # a thumbnail first, with the sensor data in a sub-directory
            raw = True
    if raw:
        raise Unsupported("camera raw image", DEVELOP_RAW)
    if not pages:
        raise DamagedTiff("it contains no image")
    return pages, layout, masks


def check_complete(data: bytes, pages: Iterable[Page], layout: Layout) -> None:
    """Raise DamagedTiff if a page's strips or tiles exceed the file."""
    if any(_end(page, layout) > len(data) for page in pages):
        raise DamagedTiff("the file ends early")


def check_something_left(data: bytes, pages: Iterable[Page], layout: Layout) -> None:
    """Raise DamagedTiff if a truncated file has no pixel data of any page."""
    starts = (
        numbers(page.directory[tag], layout)
        for page in pages
        for tag in (STRIP_OFFSETS, TILE_OFFSETS)
        if tag in page.directory
    )
    if not any(start < len(data) for found in starts for start in found):
        raise DamagedTiff("no pixel data is left")


def completed(data: bytes, pages: Iterable[Page], layout: Layout) -> bytes:
    """Pad a truncated file with zeros for missing samples, if they are stored uncompressed."""
    for page in pages:
        size = page.width * page.height * page.samples * page.bits // 8
        if page.compression == 1 and _end(page, layout) <= len(data) + size + 2**16:
            data = data.ljust(_end(page, layout), b"\0")
    return data


def _end(page: Page, layout: Layout) -> int:
    """Return the offset of the end of a page's last strip or tile."""
    end = 0
    for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS)):
        if offsets in page.directory and counts in page.directory:
            starts = numbers(page.directory[offsets], layout)
            lengths = numbers(page.directory[counts], layout)
            end = max(end, *(start + length for start, length in zip(starts, lengths, strict=False)), 0)
    return end


def integer(directory: Mapping[int, Value], tag: int, layout: Layout, default: int) -> int:
    """Return the first number of a tag, or ``default`` if it is missing. Raises DamagedTiff."""
    return numbers(directory[tag], layout)[0] if tag in directory else default


def _page(index: int, directory: Directory, layout: Layout) -> Page:
    width, height = integer(directory, WIDTH, layout, 0), integer(directory, LENGTH, layout, 0)
    bits = numbers(directory[BITS], layout) if BITS in directory else (1,)
    if len(set(bits)) > 1:
        raise Unsupported(f"TIFF with samples of {', '.join(map(str, bits[:5]))} bits")
    if integer(directory, IMAGE_DEPTH, layout, 1) > 1:
        raise Unsupported("TIFF with a volume (ImageDepth)")
    if width < 1 or height < 1 or not bits:
        raise DamagedTiff("its header is invalid")
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
        planar=integer(directory, PLANAR, layout, 1) == 2,
        directory=directory,
    )


def resolution(directory: Mapping[int, Value], layout: Layout) -> tuple[float, float] | None:
    """Return the resolution in pixels per inch, if its unit is inches or centimetres."""
    unit = integer(directory, RESOLUTION_UNIT, layout, 2)
    if unit not in (2, 3) or X_RESOLUTION not in directory or Y_RESOLUTION not in directory:
        return None
    pair = [_ratio(directory, tag, layout) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if pair[0] is None or pair[1] is None:
        return None
    inches = 2.54 if unit == 3 else 1.0
    return plausible_dpi(float(pair[0]) * inches, float(pair[1]) * inches)


def pixel_aspect(directory: Mapping[int, Value], layout: Layout) -> tuple[int, int] | None:
    """Return the ratio of resolutions without a unit, if pixels are not square."""
    if integer(directory, RESOLUTION_UNIT, layout, 2) != 1:
        return None
    pair = [_ratio(directory, tag, layout) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if pair[0] is None or pair[1] is None or pair[0] == pair[1] or min(pair[0], pair[1]) <= 0:
        return None
    part = (pair[0] / pair[1]).limit_denominator(1000)
    return (part.numerator, part.denominator) if 0 < part.numerator < 65536 else None


def _ratio(directory: Mapping[int, Value], tag: int, layout: Layout) -> Fraction | None:
    value = directory.get(tag)
    if value is None or value.kind != ifd.RATIONAL or len(value.data) < 8:
        return None
    above, below = layout.unpack("II", value.data, 0)
    return Fraction(above, below) if below else Fraction(0)


def descriptive_exif(directory: Mapping[int, Value], layout: Layout) -> bytes | None:
    """Return the directory's descriptive tags as an EXIF block, without ICC profile and XMP; None if there are none."""
    kept = {tag: value for tag, value in directory.items() if tag in DESCRIPTIVE and tag not in (ICC, XMP)}
    if not kept:
        return None
    return ifd.pack_block(kept, layout)


def geo_block(directory: Mapping[int, Value], layout: Layout, nodata: float | None) -> bytes | None:
    """Return the directory's GeoTIFF and GDAL tags as a TIFF structure, or None if there are none.

    Args:
        directory, layout: those of the page.
        nodata: the no-data value in the decoded pixels.
    """
    kept = {tag: value for tag, value in directory.items() if tag in geo.TAGS}
    if geo.GDAL_NODATA in kept and nodata is not None and integer(directory, SAMPLE_FORMAT, layout, 1) != 3:
        kept[geo.GDAL_NODATA] = Value(ifd.ASCII, b"%d\0" % round(nodata))
    return ifd.pack_block(kept, layout) if kept else None


def is_raw(directory: Mapping[int, Value], layout: Layout) -> bool:
    """Return whether a directory belongs to a camera raw file."""
    photometric = integer(directory, PHOTOMETRIC, layout, 1)
    return (
        DNG_VERSION in directory
        or photometric in (32803, 34892)
        or integer(directory, COMPRESSION, layout, 1) in RAW_COMPRESSIONS
    )


def lost_parts(data: bytes, directory: Mapping[int, Value], layout: Layout) -> Iterator[str]:
    """Yield names of a directory's contents that the result will not have."""
    if IMAGE_SOURCE_DATA in directory:
        yield "the layers (Photoshop)"
    if further := sum(1 for _ in _further_pictures(data, directory, layout)):
        yield f"{further} image{'s' * (further > 1)} in sub-directories"
    known = STORAGE | DESCRIPTIVE | geo.TAGS | {IMAGE_SOURCE_DATA}
    private = sorted(tag for tag in directory if tag not in known)
    if private:
        yield f"the TIFF tag{'s' * (len(private) > 1)} {', '.join(str(tag) for tag in private[:8])}"


def _further_pictures(data: bytes, directory: Mapping[int, Value], layout: Layout) -> Iterator[int]:
    """Yield offsets of sub-directories with other images than reduced copies."""
    with suppress(DamagedTiff):
        for at in numbers(directory[SUB_DIRECTORIES], layout)[:LARGEST_PAGES] if SUB_DIRECTORIES in directory else ():
            below, _ = ifd.read_directory(data, at, layout)
            if WIDTH in below and not integer(below, SUBFILE, layout, 0) & 5:
                yield at
