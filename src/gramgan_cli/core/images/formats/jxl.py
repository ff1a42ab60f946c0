"""Reading JPEG XL, with a check of its header before decoding (ISO/IEC 18181-1, annex D; -2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.limits import check_size
from gramgan_cli.core.images.metadata.boxes import walk
from gramgan_cli.core.images.photo import Frame, Photo, Unreadable, Unsupported, left_out
from gramgan_cli.core.images.samples import with_axis

Array = NDArray[Any]

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

LARGEST_METADATA = 2**24
"""Maximum size in bytes of decompressed metadata."""

RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Aspect ratios (width, height) for headers that store only the height."""


class DamagedJxl(ValueError):
    """The file is not a valid JPEG XL image."""


@dataclass(frozen=True)
class Header:
    """Header of the codestream."""

    width: int
    height: int
    """Stored size, before the orientation is applied."""
    orientation: int
    """1 to 8, as in EXIF."""
    animated: bool


class _Bits:
    """Reads numbers, starting at the least significant bit."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise DamagedJxl("its header ends early")
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return taken


def open_jxl(data: bytes, name: str, lenient: bool) -> Photo:
    """Open JPEG XL: Pillow's plug-in reads the profile, imagecodecs all bit depths and the orientation."""
    header = read_header(data)
    check_size(name, header.width, header.height, len(data))
    if header.animated:
        raise GramganError(
            f"{name} is an animated JPEG XL, which gramgan does not read.", "Convert it to APNG first, with djxl."
        )
    try:
        metadata = pillow.metadata_of(pillow.image_of(data, lenient))
    except Exception as error:  # the plug-in raises its own errors, with texts for developers
        raise Unreadable("its codestream is damaged") from error
    exif, xmp = exif_and_xmp(data)
    _, metadata, notes = pillow.oriented(replace(metadata, exif=exif or metadata.exif, xmp=xmp or metadata.xmp))
    metadata = replace(metadata, turned=header.orientation != 1)
    stored = imagecodecs.jpegxl_decode(data)
    array = stored.astype(np.float32) if stored.dtype == np.float16 else stored
    array = with_axis(array)
    height, width, channels = array.shape

    def decode() -> Iterator[Array]:
        yield array

    return Photo(
        name,
        "jxl",
        (Frame(width, height, channels, array.dtype),),
        False,
        decode,
        metadata,
        warnings=(*notes, *left_out(_lost(data))),
    )


def _lost(data: bytes) -> Iterator[str]:
    """Yield names of the file's contents that the result will not have."""
    kinds = {kind for kind, _, _ in walk(data, 0, len(data))} if data.startswith(CONTAINER) else set()
    if b"jumb" in kinds:
        yield "the C2PA manifest (content credentials)"
    if b"jhgm" in kinds:
        yield "the gain map (HDR)"


def read_header(data: bytes) -> Header:
    """Return size, orientation and whether it is animated; raises DamagedJxl and Unsupported."""
    bits = _Bits(_codestream(data)[2:64])
    width, height = _size(bits)
    if bits.take(1) or not bits.take(1):  # all default; no extra fields
        return Header(width, height, 1, False)
    orientation = 1 + bits.take(3)
    if bits.take(1):  # the intrinsic display size
        _size(bits)
    if bits.take(1):
        raise Unsupported("JPEG XL with a preview")
    return Header(width, height, orientation, bool(bits.take(1)))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if not ratio:
        return _side(bits, small), height
    across, down = RATIOS[ratio]
    return height * across // down, height


def _side(bits: _Bits, small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take((9, 13, 18, 30)[bits.take(2)])


def _codestream(data: bytes) -> bytes:
    """Return the start of the codestream, from the file itself or from a box of the container."""
    if data.startswith(CODESTREAM):
        return data
    for kind, at, _ in walk(data, 0, len(data)):
        if kind in (b"jxlc", b"jxlp"):
            at += 4 if kind == b"jxlp" else 0
            if data[at : at + 2] == CODESTREAM:
                return data[at : at + 64]
    raise DamagedJxl("it has no codestream")


def exif_and_xmp(data: bytes) -> tuple[bytes | None, bytes | None]:
    """Return the EXIF block (a TIFF structure) and XMP packet of a container, decompressing Brotli."""
    found: dict[bytes, bytes] = {}
    for kind, at, end in walk(data, 0, len(data)) if data.startswith(CONTAINER) else ():
        if kind == b"brob":
            with suppress(imagecodecs.BrotliError):
                found[data[at : at + 4]] = bytes(imagecodecs.brotli_decode(data[at + 4 : end], out=LARGEST_METADATA))
        else:
            found[kind] = data[at:end]
    exif, xmp = found.get(b"Exif"), found.get(b"xml ")
    return exif[4 + int.from_bytes(exif[:4], "big") :] if exif else None, xmp or None
