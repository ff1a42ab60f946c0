"""Changing the few EXIF values that a larger, upright picture makes wrong, in place.

Nothing is parsed and written anew: makers' notes hold offsets that only stay valid where every byte stays where it is.
Layout: TIFF 6.0, section 2; tags: EXIF 2.32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.ifd import ASCII, EXIF_IFD, LONG, RATIONAL, SHORT, DamagedTiff, Entry

ORIENTATION = 0x0112
THUMBNAIL_START = 0x0201
THUMBNAIL_LENGTH = 0x0202
WIDTHS = {0x0100, 0xA002}
"""ImageWidth and PixelXDimension."""
HEIGHTS = {0x0101, 0xA003}
"""ImageLength and PixelYDimension."""

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
SOFTWARE = 0x0131


class DamagedExif(ValueError):
    """The block is not a TIFF structure that can be followed."""


class _Block:
    """A TIFF structure as bytes that can be patched."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        with _as_damage():
            self.layout = ifd.layout_of(data)
        if self.layout.big:
            raise DamagedExif("no TIFF header")

    @property
    def first(self) -> int:
        """Offset of the first directory."""
        return self.read("I", 4)

    def read(self, kind: str, at: int) -> int:
        with _as_damage():
            return self.layout.unpack(kind, self.data, at)[0]

    def entries(self, at: int) -> Iterator[Entry]:
        with _as_damage():
            yield from ifd.entries(self.data, at, self.layout)

    def next_ifd_at(self, at: int) -> int:
        """Where the offset of the following directory is stored."""
        with _as_damage():
            return ifd.link_at(self.data, at, self.layout)

    def value(self, entry: Entry) -> int:
        """The number of a SHORT or LONG entry."""
        return self.read("H" if entry.kind == SHORT else "I", entry.at + 8)

    def set_value(self, entry: Entry, value: int) -> None:
        """Store one number; it becomes a LONG where it does not fit a SHORT."""
        kind = SHORT if value <= 0xFFFF and entry.kind == SHORT else LONG
        packed = self.layout.pack("H" if kind == SHORT else "I", value).ljust(4, b"\0")
        self.data[entry.at : entry.at + 12] = self.layout.pack("HHI", entry.tag, kind, 1) + packed


@contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except DamagedTiff as error:
        raise DamagedExif(str(error)) from error


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8; 1 where there is none or where it makes no sense. Raises DamagedExif."""
    block = _Block(exif)
    for entry in block.entries(block.first):
        if entry.tag == ORIENTATION and entry.kind in (SHORT, LONG):
            value = block.value(entry)
            return value if 1 <= value <= 8 else 1
    return 1


def updated_exif(exif: bytes, width: int, height: int) -> bytes:
    """The block for an upright picture of this size: orientation 1, dimensions new, thumbnail gone.

    Raises DamagedExif.
    """
    block = _Block(exif)
    first = block.first
    pending = [first]
    for entry in [entry for at in pending for entry in _with_children(block, at, pending)]:
        if entry.tag == ORIENTATION:
            block.set_value(entry, 1)
        elif entry.tag in WIDTHS:
            block.set_value(entry, width)
        elif entry.tag in HEIGHTS:
            block.set_value(entry, height)
    _drop_thumbnail(block, first)
    return bytes(block.data)


def _with_children(block: _Block, ifd: int, pending: list[int]) -> Iterator[Entry]:
    """The entries of a directory; the EXIF directory that the first one points to is added to ``pending``."""
    for entry in block.entries(ifd):
        if entry.tag == EXIF_IFD and ifd == pending[0] and len(pending) == 1:
            pending.append(block.value(entry))
        yield entry


def _drop_thumbnail(block: _Block, first: int) -> None:
    """Unlink the second directory, blank the thumbnail's bytes, and cut them off where they are the block's end."""
    link = block.next_ifd_at(first)
    second = block.read("I", link) if link + 4 <= len(block.data) else 0
    if not second:
        return
    facts = {entry.tag: block.value(entry) for entry in block.entries(second)}
    start, length = facts.get(THUMBNAIL_START, 0), facts.get(THUMBNAIL_LENGTH, 0)
    block.data[link : link + 4] = bytes(4)
    end = start + length
    if not start or start < 8 or end > len(block.data):
        return
    block.data[start:end] = bytes(length)
    if len(block.data) - end < 4:
        del block.data[start:]


def without_orientation(exif: bytes) -> bytes:
    """The block without an orientation: the entries behind it move up, all else stays where it is.

    Raises DamagedExif.
    """
    block = _Block(exif)
    first = block.first
    entries = list(block.entries(first))
    link = block.next_ifd_at(first)
    for entry in entries:
        if entry.tag == ORIENTATION:
            block.data[entry.at : link + 4] = block.data[entry.at + 12 : link + 4] + bytes(12)
            block.data[first : first + 2] = block.layout.pack("H", len(entries) - 1)
            break
    return bytes(block.data)


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """The block with a resolution in pixels per inch, where it has none yet; a new block where there is none.

    The first directory is written anew behind the block's end, so that all else stays where it is. Raises DamagedExif.
    """
    block = _Block(exif or b"II*\0" + (8).to_bytes(4, "little") + bytes(6))
    first = block.first
    entries = {
        entry.tag: bytes(block.data[entry.at : entry.at + 12].ljust(12, b"\0")) for entry in block.entries(first)
    }
    if X_RESOLUTION in entries:
        return bytes(block.data)
    packed = block.layout.pack
    values = b"".join(packed("II", round(value * 10000), 10000) for value in dpi)

    def new_entries(values_at: int) -> dict[int, bytes]:
        return {
            X_RESOLUTION: packed("HHII", X_RESOLUTION, RATIONAL, 1, values_at),
            Y_RESOLUTION: packed("HHII", Y_RESOLUTION, RATIONAL, 1, values_at + 8),
            RESOLUTION_UNIT: packed("HHIHH", RESOLUTION_UNIT, SHORT, 1, 2, 0),
        }

    return _with_entries(block, entries, new_entries, values)


def exif_software(exif: bytes) -> str:
    """The software that the block names; nothing where it names none. Raises DamagedExif."""
    block = _Block(exif)
    for entry in block.entries(block.first):
        if entry.tag == SOFTWARE and entry.kind == ASCII:
            return bytes(block.data[entry.where : entry.where + entry.length]).rstrip(b"\0 ").decode("utf-8", "replace")
    return ""


def with_software(exif: bytes | None, text: str) -> bytes:
    """The block with this software in the place of another; a new block where there is none.

    The first directory is written anew behind the block's end, so that all else stays where it is. Raises DamagedExif.
    """
    block = _Block(exif or b"II*\0" + (8).to_bytes(4, "little") + bytes(6))
    entries = {
        entry.tag: bytes(block.data[entry.at : entry.at + 12].ljust(12, b"\0")) for entry in block.entries(block.first)
    }
    for entry in block.entries(block.first):
        if entry.tag == SOFTWARE:  # what it said would be found by a search through the bytes
            end = min(entry.where + entry.length, len(block.data))
            block.data[entry.where : end] = bytes(max(0, end - entry.where))
    value = text.encode("utf-8", "replace") + b"\0"

    def new_entries(values_at: int) -> dict[int, bytes]:
        return {SOFTWARE: block.layout.pack("HHII", SOFTWARE, ASCII, len(value), values_at)}

    return _with_entries(block, entries, new_entries, value)


def _with_entries(
    block: _Block, entries: dict[int, bytes], new_entries: Callable[[int], dict[int, bytes]], values: bytes
) -> bytes:
    """The block with a first directory of old and new entries behind its end, and the new entries' values behind it."""
    link = block.next_ifd_at(block.first)
    following = block.read("I", link) if link + 4 <= len(block.data) else 0
    block.data += b"\0" * (len(block.data) % 2)
    at = len(block.data)
    values_at = at + 2 + 12 * len({*entries, *new_entries(0)}) + 4
    entries = entries | new_entries(values_at)
    packed = block.layout.pack
    block.data += packed("H", len(entries)) + b"".join(entry for _, entry in sorted(entries.items()))
    block.data += packed("I", following) + values
    block.data[4:8] = packed("I", at)
    return bytes(block.data)
