"""Reading WebP, and writing animated WebP frame by frame from still images (RFC 9649, sections 2.7 and 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import IO

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.limits import check_total
from gramgan_cli.core.images.photo import Photo, Unreadable, after_end, left_out

ALPHA, ANIMATION, EXIF, ICC, XMP = 0x10, 0x02, 0x08, 0x20, 0x04
"""Flags of the VP8X chunk."""

PIXELS = frozenset((b"VP8 ", b"VP8L", b"ANMF"))
KNOWN = PIXELS | {b"VP8X", b"ANIM", b"ALPH", b"ICCP", b"EXIF", b"XMP "}
"""Chunks in the specification; others are private."""


def open_webp(data: bytes, name: str, lenient: bool) -> Photo:
    """Open a still or animated WebP."""
    if lenient:
        if not any(kind in PIXELS and content.strip(b"\0") for kind, content in _chunks(data)):
            raise Unreadable("no pixel data is left")
        data = completed(data)
    raster = pillow.opened(data, name, lenient)
    frames = getattr(raster.image, "n_frames", 1)
    if frames > 1:
        check_total(name, raster.image.width * raster.image.height * frames, len(data))
    if not lenient and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise Unreadable("the file ends early")
    return replace(raster, lossless=is_lossless(data), notes=(*raster.notes, *left_out(_lost(data)))).photo()


def _lost(data: bytes) -> Iterator[str]:
    """Yield names of the file's contents that the result will not have."""
    for kind in sorted({kind for kind, _ in _chunks(data)} - KNOWN):
        yield "the C2PA manifest (content credentials)" if kind == b"C2PA" else _named(kind)
    yield from after_end(data[8 + int.from_bytes(data[4:8], "little") :])


def _named(kind: bytes) -> str:
    return f"the private chunk {kind.decode('latin-1').strip()!r}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _chunks(still: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a WebP file."""
    at, end = 12, min(len(still), 8 + int.from_bytes(still[4:8], "little"))
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", still, at)
        yield kind, still[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def completed(file: bytes) -> bytes:
    """Pad a truncated file with zeros to its declared length, because the decoder does not accept less.

    The padding is limited to four times the existing size.
    """
    length = 8 + int.from_bytes(file[4:8], "little")
    return file.ljust(min(length, 5 * len(file)), b"\0")


def is_lossless(file: bytes) -> bool:
    """Return whether all frames are stored losslessly."""
    kinds = set()
    for kind, content in _chunks(file):
        if kind == b"ANMF":
            kinds |= {inner for inner, _ in _chunks(b"".ljust(12) + content[16:])}
        kinds.add(kind)
    return b"VP8L" in kinds and b"VP8 " not in kinds


def whole_milliseconds(durations: Iterable[float]) -> list[int]:
    """Round durations so that their cumulative sums stay exact and the animation keeps its length."""
    ends = [round(end) for end in accumulate(durations)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _three_bytes(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


class WebpAnimation:
    """Writes an animated WebP to a seekable stream, with one frame in memory at a time."""

    def __init__(
        self,
        file: IO[bytes],
        width: int,
        height: int,
        plays: int,
        icc: bytes | None,
        exif: bytes | None,
        xmp: bytes | None,
    ) -> None:
        self._file = file
        self._size = _three_bytes(width - 1) + _three_bytes(height - 1)
        self._tail = [(b"EXIF", exif), (b"XMP ", xmp)]
        flags = ALPHA | ANIMATION | (ICC if icc else 0) | (EXIF if exif else 0) | (XMP if xmp else 0)
        file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + self._size))
        if icc:
            file.write(_chunk(b"ICCP", icc))
        file.write(_chunk(b"ANIM", struct.pack("<IH", 0, min(plays, 65535))))

    def write_frame(self, still: bytes, milliseconds: int) -> None:
        """Add one full-size frame, given as a still WebP file, which replaces the previous frame."""
        image = b"".join(
            _chunk(kind, content) for kind, content in _chunks(still) if kind in (b"ALPH", b"VP8 ", b"VP8L")
        )
        head = bytes(6) + self._size + _three_bytes(min(milliseconds, 2**24 - 1)) + b"\x02"
        self._file.write(_chunk(b"ANMF", head + image))

    def close(self) -> None:
        """Write metadata and the total length; the stream stays open."""
        for kind, content in self._tail:
            if content:
                self._file.write(_chunk(kind, content))
        length = self._file.tell()
        self._file.seek(4)
        self._file.write(struct.pack("<I", length - 8))
        self._file.seek(length)
