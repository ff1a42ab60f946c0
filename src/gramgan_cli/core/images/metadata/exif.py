"""In-place updates of EXIF values that are wrong for a larger, upright image.

The block is not parsed and written anew, because maker notes contain offsets that are valid only if every byte stays in
place. Layout: TIFF 6.0, section 2; tags: EXIF 2.32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.ifd import (
    ASCII,
    EXIF_IFD,
    INTEROPERABILITY_IFD,
    LONG,
    RATIONAL,
    SHORT,
    DamagedTiff,
    Entry,
)
from gramgan_cli.core.images.metadata.orientation import moved_subject

ORIENTATION = 0x0112
THUMBNAIL_START = 0x0201
THUMBNAIL_LENGTH = 0x0202
WIDTHS = {0x0100, 0xA002}
"""ImageWidth and PixelXDimension."""
HEIGHTS = {0x0101, 0xA003}
"""ImageLength and PixelYDimension."""
INTEROPERABILITY_INDEX, RELATED_WIDTH, RELATED_HEIGHT = 0x0001, 0x1001, 0x1002
"""Tags of the interoperability directory: the rule it follows, and two sizes in pixels."""
SUBJECTS = {0x9214, 0xA214}
"""SubjectArea and SubjectLocation: coordinates in pixels."""
FOCAL_PLANE = {0xA20E: 0, 0xA20F: 1}
"""FocalPlaneX/YResolution (pixels per length on the sensor) -> axis."""

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
SOFTWARE = 0x0131


class DamagedExif(ValueError):
    """The block is not a valid TIFF structure."""


class _Block:
    """A TIFF structure as mutable bytes."""

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
        """Return the position of the offset of the next directory."""
        with _as_damage():
            return ifd.link_at(self.data, at, self.layout)

    def value(self, entry: Entry) -> int:
        """Return the number in a SHORT or LONG entry."""
        return self.read("H" if entry.kind == SHORT else "I", entry.at + 8)

    def load(self, entry: Entry, codes: str) -> tuple[int, ...]:
        """Return the numbers of an entry (struct codes)."""
        with _as_damage():
            return self.layout.unpack(codes, self.data, entry.where)

    def store(self, entry: Entry, codes: str, *values: int) -> None:
        """Replace the numbers that ``load`` returns."""
        packed = self.layout.pack(codes, *values)
        self.data[entry.where : entry.where + len(packed)] = packed

    def set_value(self, entry: Entry, value: int) -> None:
        """Store one number. The entry becomes a LONG if the number does not fit a SHORT."""
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
    """Return the orientation, 1 to 8; 1 if it is missing or invalid. Raises DamagedExif."""
    block = _Block(exif)
    for entry in block.entries(block.first):
        if entry.tag == ORIENTATION and entry.kind in (SHORT, LONG):
            value = block.value(entry)
            return value if 1 <= value <= 8 else 1
    return 1


def updated_exif(
    exif: bytes, width: int, height: int, scale: tuple[float, float] = (1.0, 1.0), turned: bool = True
) -> bytes:
    """Update the block for an upright image of this size: orientation 1, pixel values scaled, thumbnail removed.

    Args:
        exif: the block.
        width, height: size of the result in pixels.
        scale: the result's width and height over the source's (upright).
        turned: whether the pixels were rotated upright if necessary; otherwise the orientation is kept.

    Raises DamagedExif.
    """
    orientation = exif_orientation(exif) if turned else 1
    block = _Block(exif)
    first = block.first
    pending = [first]
    for at, entry in [pair for directory in pending for pair in _with_children(block, directory, pending)]:
        related = at not in pending[:2]
        if entry.tag == ORIENTATION and at == first and turned:
            block.set_value(entry, 1)
        elif entry.tag in WIDTHS or (related and entry.tag == RELATED_WIDTH):
            block.set_value(entry, width)
        elif entry.tag in HEIGHTS or (related and entry.tag == RELATED_HEIGHT):
            block.set_value(entry, height)
        elif entry.tag in SUBJECTS and entry.kind == SHORT and 2 <= entry.length // 2 <= 4:
            codes = "H" * (entry.length // 2)
            block.store(entry, codes, *moved_subject(block.load(entry, codes), (width, height), scale, orientation))
        elif entry.tag in FOCAL_PLANE and entry.kind == RATIONAL and entry.length == 8:
            block.store(entry, "II", *_grown(block.load(entry, "II"), scale[FOCAL_PLANE[entry.tag]]))
    _drop_thumbnail(block, first)
    return bytes(block.data)


def _grown(fraction: Sequence[int], factor: float) -> tuple[int, int]:
    above, below = fraction
    value = Fraction(above, below or 1) * Fraction(factor).limit_denominator(10_000)
    value = value.limit_denominator(1000) if max(value.numerator, value.denominator) >= 2**32 else value
    return (value.numerator, value.denominator) if below and value.numerator < 2**32 else (above, below)


def _with_children(block: _Block, ifd: int, pending: list[int]) -> Iterator[tuple[int, Entry]]:
    """Yield a directory's entries, appending the EXIF and interoperability directories it points to to ``pending``."""
    children = (EXIF_IFD, INTEROPERABILITY_IFD)
    for entry in block.entries(ifd):
        if len(pending) < 3 and pending[-1] == ifd and entry.tag == children[len(pending) - 1]:
            child = block.value(entry)
            if entry.tag == EXIF_IFD or _is_interoperability(block, child):
                pending.append(child)
        yield ifd, entry


def _is_interoperability(block: _Block, at: int) -> bool:
    """Whether there is an interoperability directory; programs that move the EXIF block leave old offsets to it."""
    try:
        kinds = {entry.tag: entry.kind for entry in block.entries(at)}
    except DamagedExif:
        return False
    return kinds.get(INTEROPERABILITY_INDEX) == ASCII or kinds.get(RELATED_WIDTH) in (SHORT, LONG)


def _drop_thumbnail(block: _Block, first: int) -> None:
    """Unlink the second directory, zero the thumbnail's bytes, and truncate the block if they are at its end."""
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
    """Remove the orientation from the block: later entries of the directory move up, all other bytes stay.

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
    """Add a resolution in pixels per inch to the block if it has none; without a block, create one.

    The first directory is rewritten at the end of the block, so that all other bytes stay. Raises DamagedExif.
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
    """Return the block's Software tag, or an empty string. Raises DamagedExif."""
    block = _Block(exif)
    for entry in block.entries(block.first):
        if entry.tag == SOFTWARE and entry.kind == ASCII:
            return bytes(block.data[entry.where : entry.where + entry.length]).rstrip(b"\0 ").decode("utf-8", "replace")
    return ""


def with_software(exif: bytes | None, text: str) -> bytes:
    """Set the block's Software tag; without a block, create one.

    The first directory is rewritten at the end of the block, so that all other bytes stay. Raises DamagedExif.
    """
    block = _Block(exif or b"II*\0" + (8).to_bytes(4, "little") + bytes(6))
    entries = {
        entry.tag: bytes(block.data[entry.at : entry.at + 12].ljust(12, b"\0")) for entry in block.entries(block.first)
    }
    for entry in block.entries(block.first):
        if entry.tag == SOFTWARE:  # zero the old value, which a search through the bytes would still find
            end = min(entry.where + entry.length, len(block.data))
            block.data[entry.where : end] = bytes(max(0, end - entry.where))
    value = text.encode("utf-8", "replace") + b"\0"

    def new_entries(values_at: int) -> dict[int, bytes]:
        return {SOFTWARE: block.layout.pack("HHII", SOFTWARE, ASCII, len(value), values_at)}

    return _with_entries(block, entries, new_entries, value)


def _with_entries(
    block: _Block, entries: dict[int, bytes], new_entries: Callable[[int], dict[int, bytes]], values: bytes
) -> bytes:
    """Append a first directory with old and new entries to the block, followed by the new entries' values."""
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
