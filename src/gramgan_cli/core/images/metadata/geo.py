"""GeoTIFF and GDAL tags: georeferencing, and the meaning of values (OGC 19-008r4, GeoTIFF 1.1)."""

from __future__ import annotations

from contextlib import suppress

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.ifd import DamagedTiff, Directory, Layout, Value

PIXEL_SCALE, TIE_POINTS, TRANSFORM, INTERGRAPH_TRANSFORM = 33550, 33922, 34264, 33920
KEYS, RPC = 34735, 50844
GDAL_METADATA, GDAL_NODATA = 42112, 42113

TAGS = frozenset(
    (PIXEL_SCALE, TIE_POINTS, TRANSFORM, INTERGRAPH_TRANSFORM, KEYS, 34736, 34737, RPC, GDAL_METADATA, GDAL_NODATA)
)
"""Tags that are copied from TIFF to TIFF."""

POSITIONS = TAGS - {GDAL_METADATA, GDAL_NODATA}

RASTER_TYPE, PIXEL_IS_POINT = 1025, 2
"""Key that states whether coordinates refer to a pixel's upper left corner or its centre."""


def nodata_of(directory: Directory) -> float | None:
    """Return the no-data value in GDAL's tag, or None."""
    if GDAL_NODATA not in directory:
        return None
    with suppress(ValueError):
        return float(directory[GDAL_NODATA].data.rstrip(b"\0 ").decode("ascii", "replace"))
    return None


def has_position(block: bytes) -> bool:
    """Return whether a block of these tags contains a position."""
    directory, _ = _read(block)
    return bool(POSITIONS & directory.keys())


def scaled_geo(block: bytes, scale: tuple[float, float]) -> bytes:
    """Update the tags for an enlarged image of the same area, whose pixels are smaller.

    Args:
        block: a TIFF structure with these tags only.
        scale: the result's width and height over the source's.

    Raises:
        DamagedTiff: a tag can't be parsed.
    """
    directory, layout = _read(block)
    # If coordinates refer to pixel centres, the centre of the first pixel moves when pixels are divided.
    shift = 0.5 if _is_point(directory, layout) else 0.0
    if PIXEL_SCALE in directory:
        x, y, *z = _doubles(directory[PIXEL_SCALE], layout)
        directory[PIXEL_SCALE] = _packed([x / scale[0], y / scale[1], *z], layout)
    if TIE_POINTS in directory:
        values = _doubles(directory[TIE_POINTS], layout)
        for at in range(0, len(values) - 5, 6):
            for axis in (0, 1):
                values[at + axis] = (values[at + axis] + shift) * scale[axis] - shift
        directory[TIE_POINTS] = _packed(values, layout)
    for tag in (TRANSFORM, INTERGRAPH_TRANSFORM):
        if tag in directory and len(values := _doubles(directory[tag], layout)) >= 16:
            directory[tag] = _packed(_scaled_matrix(values, scale, shift), layout)
    if RPC in directory and len(values := _doubles(directory[RPC], layout)) >= 12:
        for offset, size, axis in ((2, 7, 1), (3, 8, 0)):  # line and sample: pixel centres
            values[offset] = (values[offset] + 0.5) * scale[axis] - 0.5
            values[size] *= scale[axis]
        directory[RPC] = _packed(values, layout)
    return ifd.pack_block(directory, layout)


def _scaled_matrix(matrix: list[float], scale: tuple[float, float], shift: float) -> list[float]:
    """Scale a row-major matrix x = a i + b j + c k + d, with i = (i' + shift) / scale - shift."""
    made = list(matrix)
    for row in range(0, 12, 4):
        for axis in (0, 1):
            made[row + axis] = matrix[row + axis] / scale[axis]
            made[row + 3] += matrix[row + axis] * (shift / scale[axis] - shift)
    return made


def _read(block: bytes) -> tuple[Directory, Layout]:
    layout = ifd.layout_of(block)
    directory, _ = ifd.read_directory(block, ifd.first_directory(block, layout), layout)
    return directory, layout


def _is_point(directory: Directory, layout: Layout) -> bool:
    if KEYS not in directory:
        return False
    keys = ifd.numbers(directory[KEYS], layout)
    rows = (keys[at : at + 4] for at in range(4, len(keys) - 3, 4))
    return any(row[0] == RASTER_TYPE and row[1] == 0 and row[3] == PIXEL_IS_POINT for row in rows)


def _doubles(value: Value, layout: Layout) -> list[float]:
    if value.kind != ifd.DOUBLE:
        raise DamagedTiff("a value of the georeference is not a number")
    return [float(number) for number in layout.unpack(f"{len(value.data) // 8}d", value.data, 0)]


def _packed(values: list[float], layout: Layout) -> Value:
    return Value(ifd.DOUBLE, layout.pack("d" * len(values), *values))
