"""Reading BMP, including profiles and bit fields, which Pillow ignores (Microsoft: BITMAPV5HEADER)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.limits import check_size
from gramgan_cli.core.images.photo import Frame, Metadata, Photo, Unreadable, left_out, plausible_dpi
from gramgan_cli.core.images.samples import EIGHT

Array = NDArray[Any]

BIT_FIELDS, ALPHA_BIT_FIELDS = 3, 6
"""Values of the header's compression field."""

EMBEDDED, LINKED = b"DEBM", b"KNIL"
"""Colour space types with a profile that is embedded or in another file."""


@dataclass(frozen=True)
class Header:
    """Header of an image with bit fields."""

    width: int
    height: int
    from_top: bool
    bits: int
    """Bits per pixel: 16 or 32."""
    masks: tuple[int, ...]
    """Bit masks of red, green, blue and, if present, alpha."""
    start: int
    """Offset of the pixels."""
    dpi: tuple[float, float] | None


def open_bmp(data: bytes, name: str, lenient: bool) -> Photo:
    """Open a BMP of any depth."""
    header = _bit_fields(data)
    metadata, notes = _profile(data)
    if header is not None:
        return _in_bit_fields(data, name, header, replace(metadata, dpi=header.dpi), notes, lenient)
    if lenient and len(data) <= int.from_bytes(data[10:14], "little"):
        raise Unreadable("no pixel data is left")
    raster = pillow.opened(data, name, lenient)
    metadata = replace(raster.metadata, icc=metadata.icc)
    return replace(raster, metadata=metadata, notes=(*raster.notes, *notes)).photo()


def _bit_fields(data: bytes) -> Header | None:
    """Return the header of an image with bit fields, or None for other images."""
    if data[:2] != b"BM" or len(data) < 70:
        return None
    start, size = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if size < 40:
        return None
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in (BIT_FIELDS, ALPHA_BIT_FIELDS) or bits not in (16, 32):
        return None
    with_alpha = size >= 56 or compression == ALPHA_BIT_FIELDS
    masks = struct.unpack_from("<4I", data, 54)[: 4 if with_alpha else 3]
    if width <= 0 or height == 0 or not all(masks[:3]):
        raise Unreadable("its header is invalid")
    masks = masks if all(masks) else masks[:3]
    x, y = struct.unpack_from("<ii", data, 38)
    return Header(width, abs(height), height < 0, bits, masks, start, plausible_dpi(x * 0.0254, y * 0.0254))


def _in_bit_fields(
    data: bytes, name: str, header: Header, metadata: Metadata, notes: tuple[str, ...], lenient: bool
) -> Photo:
    check_size(name, header.width, header.height, len(data))
    needed = (header.width * header.bits + 31) // 32 * 4 * header.height
    if len(data) <= header.start or (not lenient and len(data) < header.start + needed):
        raise Unreadable("the file ends early")

    def decode() -> Iterator[Array]:
        stored = np.frombuffer(data[header.start : header.start + needed].ljust(needed, b"\0"), f"<u{header.bits // 8}")
        rows = stored.reshape(header.height, -1)[:, : header.width]
        planes = [_field(rows, mask) for mask in header.masks]
        yield np.ascontiguousarray(np.stack(planes, axis=2)[:: 1 if header.from_top else -1])

    frame = Frame(header.width, header.height, len(header.masks), EIGHT)
    return Photo(name, "bmp", (frame,), True, decode, metadata, warnings=notes)


def _field(rows: Array, mask: int) -> Array:
    """Extract one channel, stretched to 8 bits and rounded half up."""
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    value = (rows.astype(np.uint64) & mask) >> shift
    return ((value * 255 + top // 2) // top).astype(np.uint8)


def _profile(data: bytes) -> tuple[Metadata, tuple[str, ...]]:
    """Return the profile of a BITMAPV5HEADER, or a warning that names a linked profile."""
    if data[:2] != b"BM" or len(data) < 138 or struct.unpack_from("<I", data, 14)[0] < 124:
        return Metadata(), ()
    kind, (at, size) = data[70:74], struct.unpack_from("<II", data, 126)
    content = data[14 + at : 14 + at + size]
    if kind == EMBEDDED and content:
        return Metadata(icc=content), ()
    if kind == LINKED and content:
        linked = content.split(b"\0")[0].decode("cp1252", "replace")
        return Metadata(), left_out([f"the link to the ICC profile {linked!r}"])
    return Metadata(), ()
