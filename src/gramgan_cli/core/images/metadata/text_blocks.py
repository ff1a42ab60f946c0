"""Reading the parts of an image file that contain text, without decoding its pixels.

Sources: ITU-T T.81, B.1.1; PNG (third edition), 5.3; RFC 9649, 2.7; TIFF 6.0, section 2; ISO/IEC 14496-12, 8.11.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.boxes import item_extents, walk

SOFTWARE = 0x0131
"""TIFF tag Software."""

LARGEST_PART = 2**24
"""Maximum number of bytes read of one part."""

MOST_PARTS = 100_000
"""Maximum number of chunks or segments that are examined."""


def metadata_parts(file: BinaryIO) -> Iterator[bytes]:
    """Yield PNG's text chunks, JPEG's EXIF and comments, WebP's and AVIF's EXIF, and TIFF's Software tag.

    Args:
        file: seekable, at its start.

    Raises:
        DamagedTiff: a TIFF's first directory can't be parsed.
        OSError: the file can't be read.
    """
    head = file.read(16)
    if head[:4] == b"\x89PNG":
        yield from _chunks(file, 8, "big", (b"tEXt", b"iTXt", b"eXIf"), behind=4)
    elif head[:4] == b"RIFF":
        yield from _chunks(file, 12, "little", (b"EXIF", b"XMP "), behind=0)
    elif head[:2] == b"\xff\xd8":
        yield from _segments(file)
    elif head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        yield from _software(file, head)
    elif head[4:8] == b"ftyp":
        yield from _exif_items(file)


def _part(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(min(length, LARGEST_PART))


def _chunks(file: BinaryIO, at: int, order: str, kinds: tuple[bytes, ...], behind: int) -> Iterator[bytes]:
    """Yield chunks. PNG: length, type, content, four more bytes. RIFF: type, length, content, padded to even size."""
    big = order == "big"
    for _ in range(MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = (head[4:], head[:4]) if big else (head[:4], head[4:])
        size = int.from_bytes(length, "big" if big else "little")
        if kind in kinds:
            yield _part(file, at + 8, size)
        at += 8 + size + (behind if big else size % 2)
        if at >= 2**62:
            return


def _segments(file: BinaryIO) -> Iterator[bytes]:
    at = 2
    for _ in range(MOST_PARTS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):
            return
        size = int.from_bytes(head[2:], "big")
        if head[1] in (0xE1, 0xFE):
            yield _part(file, at + 4, size - 2)
        at += 2 + max(size, 2)


def _software(file: BinaryIO, head: bytes) -> Iterator[bytes]:
    """Yield the Software tag of the first directory."""
    layout = ifd.layout_of(head)
    size, number, wide = (20, "Q", 8) if layout.big else (12, "H", 4)
    first = min(ifd.first_directory(head, layout), 2**62)
    file.seek(first)
    (count,) = layout.unpack(number, file.read(8), 0)
    file.seek(first + (8 if layout.big else 2))
    entries = file.read(min(count, 2**16) * size)
    for at in range(0, len(entries) - size + 1, size):
        tag, _, length, where = layout.unpack(f"HH{layout.offset}{layout.offset}", entries, at)
        if tag == SOFTWARE:
            yield entries[at + size - wide : at + size] if length <= wide else _part(file, min(where, 2**62), length)


def _exif_items(file: BinaryIO) -> Iterator[bytes]:
    """Yield the EXIF items that the box ``meta`` lists."""
    at, end = 0, file.seek(0, os.SEEK_END)
    for _ in range(64):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        kind, body, stop = next(walk(head, 0, end), (b"", 0, 0))
        if stop <= body:
            return
        if kind == b"meta":
            for start, length in item_extents(_part(file, at + body, stop - body), b"Exif"):
                yield _part(file, start, length)
            return
        at += stop
