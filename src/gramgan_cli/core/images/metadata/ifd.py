"""Raw TIFF image file directories, in TIFF files and EXIF blocks (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Size of one value in bytes by TIFF type; 16 to 18 are BigTIFF's."""

NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""struct codes of the plain number types."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, LONG8 = 1, 2, 3, 4, 5, 7, 12, 16

EXIF_IFD = 0x8769
GPS_IFD = 0x8825
INTEROPERABILITY_IFD = 0xA005
SUB_DIRECTORIES = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
POINTERS = {None: (EXIF_IFD, GPS_IFD), EXIF_IFD: (INTEROPERABILITY_IFD,)}
"""Tags that point to a directory's children, by the tag that points to the directory itself (None: the first one)."""


class DamagedTiff(ValueError):
    """The structure can't be parsed."""


@dataclass(frozen=True)
class Value:
    """Content of a tag."""

    kind: int
    """TIFF type."""
    data: bytes
    """The values, packed, in the structure's byte order."""
    children: Mapping[int, Value] | None = None
    """The directory that the tag points to (EXIF, GPS, interoperability)."""


Directory = dict[int, Value]


@dataclass(frozen=True)
class Layout:
    """Encoding of numbers and offsets."""

    order: str
    """'<' little-endian, '>' big-endian."""
    big: bool = False
    """BigTIFF, with offsets of eight bytes."""

    @property
    def header(self) -> int:
        """Number of bytes before the first offset."""
        return 8 if self.big else 4

    @property
    def offset(self) -> str:
        """struct code of an offset."""
        return "Q" if self.big else "I"

    @property
    def count(self) -> str:
        """struct code of a directory's number of entries."""
        return "Q" if self.big else "H"

    @property
    def entry(self) -> int:
        """Size of an entry in bytes."""
        return 20 if self.big else 12

    def pack(self, codes: str, *values: float) -> bytes:
        """Return struct.pack in this byte order."""
        return struct.pack(self.order + codes, *values)

    def unpack(self, codes: str, data: bytes | bytearray, at: int) -> tuple[int, ...]:
        """Return struct.unpack_from in this byte order; raise DamagedTiff outside the data."""
        try:
            return struct.unpack_from(self.order + codes, data, at)
        except (struct.error, OverflowError) as error:
            raise DamagedTiff("an offset points outside the file") from error


def layout_of(data: bytes | bytearray) -> Layout:
    """Return the layout that a structure's header declares; raise DamagedTiff if it is not a TIFF header."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None or len(data) < 8:
        raise DamagedTiff("no TIFF header")
    magic = struct.unpack_from(order + "H", data, 2)[0]
    if magic not in (42, 43):
        raise DamagedTiff("no TIFF header")
    return Layout(order, magic == 43)


def first_directory(data: bytes | bytearray, layout: Layout) -> int:
    """Return the offset of the first directory."""
    return layout.unpack(layout.offset, data, layout.header)[0]


def read_directory(data: bytes, at: int, layout: Layout) -> tuple[Directory, int]:
    """Read the directory at offset ``at`` with its children; also return the next offset (0: none).

    Entries of unknown type are skipped, as are values and children outside the data. Raises DamagedTiff if the
    directory itself is outside.
    """
    return _tree(data, at, layout, None)


def _tree(data: bytes, at: int, layout: Layout, pointer: int | None) -> tuple[Directory, int]:
    """Read the directory that the tag ``pointer`` points to, with its children; also return the next offset."""
    directory, following = _values(data, at, layout)
    for tag in [tag for tag in SUB_DIRECTORIES if tag in directory]:
        value = directory.pop(tag)
        if tag in POINTERS.get(pointer, ()):
            with suppress(DamagedTiff):
                children, _ = _tree(data, numbers(value, layout)[0], layout, tag)
                if children:
                    directory[tag] = Value(value.kind, value.data, children)
    return directory, following


@dataclass(frozen=True)
class Entry:
    """One entry of a directory, with its position in the data."""

    tag: int
    kind: int
    """TIFF type."""
    count: int
    """Number of values."""
    at: int
    """Offset of the entry."""
    where: int
    """Offset of its values, in the entry itself or elsewhere."""

    @property
    def length(self) -> int:
        """Size of its values in bytes; 0 for an unknown type."""
        return SIZES.get(self.kind, 0) * self.count


def entries(data: bytes | bytearray, at: int, layout: Layout) -> Iterator[Entry]:
    """Yield the entries of the directory at offset ``at``; raise DamagedTiff if it exceeds the data."""
    (count,) = layout.unpack(layout.count, data, at)
    start = at + struct.calcsize("=" + layout.count)
    head = 4 + struct.calcsize("=" + layout.offset)
    for position in range(start, start + count * layout.entry, layout.entry):
        tag, kind, number = layout.unpack("HH" + layout.offset, data, position)
        long = SIZES.get(kind, 0) * number > layout.entry - head
        yield Entry(
            tag,
            kind,
            number,
            position,
            layout.unpack(layout.offset, data, position + head)[0] if long else position + head,
        )


def link_at(data: bytes | bytearray, at: int, layout: Layout) -> int:
    """Return the position at which the directory at offset ``at`` stores the offset of the next one."""
    return at + struct.calcsize("=" + layout.count) + layout.unpack(layout.count, data, at)[0] * layout.entry


def _values(data: bytes, at: int, layout: Layout) -> tuple[Directory, int]:
    """Return the values of one directory, and the offset of the next one."""
    end = link_at(data, at, layout)
    if end > len(data):
        raise DamagedTiff("a directory runs past the end")
    directory = {
        entry.tag: Value(entry.kind, data[entry.where : entry.where + entry.length])
        for entry in entries(data, at, layout)
        if entry.length > 0 and entry.where + entry.length <= len(data)
    }
    return directory, layout.unpack(layout.offset, data, end)[0] if end + 4 <= len(data) else 0


def numbers(value: Value, layout: Layout) -> tuple[int, ...]:
    """Return the values of an integer tag; raise DamagedTiff for other types."""
    code = NUMBERS.get(value.kind)
    if code is None:
        raise DamagedTiff("a number is not a number")
    return layout.unpack(f"{len(value.data) // SIZES[value.kind]}{code}", value.data, 0)


def number(value: int, layout: Layout, kind: int = LONG) -> Value:
    """Return the content of a tag with one number."""
    return Value(kind, layout.pack(NUMBERS[kind], value))


def pack_directory(directory: Mapping[int, Value], at: int, layout: Layout) -> bytes:
    """Pack a directory to be stored at offset ``at``, followed by its long values and children.

    The offset of the next directory is 0, and is stored at ``at + next_link(directory, layout)``.
    """
    inline = layout.entry - 4 - struct.calcsize("=" + layout.offset)
    head = layout.pack(layout.count, len(directory))
    behind = bytearray()
    behind_at = at + next_link(directory, layout) + struct.calcsize("=" + layout.offset)
    for tag, value in sorted(directory.items()):
        if value.children is not None:
            behind += b"\0" * (len(behind) % 2)
            where = behind_at + len(behind)
            behind += pack_directory(value.children, where, layout)
            value = number(where, layout, LONG8 if layout.big else LONG)
        count = len(value.data) // SIZES[value.kind]
        if len(value.data) <= inline:
            field = value.data.ljust(inline, b"\0")
        else:
            behind += b"\0" * (len(behind) % 2)
            field = layout.pack(layout.offset, behind_at + len(behind))
            behind += value.data
        head += layout.pack("HH" + layout.offset, tag, value.kind, count) + field
    return head + layout.pack(layout.offset, 0) + bytes(behind)


def pack_block(directory: Mapping[int, Value], layout: Layout) -> bytes:
    """Pack a classic TIFF structure with one directory; BigTIFF-only values are dropped."""
    layout, start = Layout(layout.order), 8
    head = {"<": b"II", ">": b"MM"}[layout.order] + layout.pack("HI", 42, start)
    return head + pack_directory({tag: v for tag, v in directory.items() if v.kind < LONG8}, start, layout)


def next_link(directory: Mapping[int, Value], layout: Layout) -> int:
    """Return the distance from a directory's start to its offset of the next one."""
    return struct.calcsize("=" + layout.count) + len(directory) * layout.entry
