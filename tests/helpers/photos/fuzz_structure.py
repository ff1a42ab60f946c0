"""Mutations that know how a file is built: chunks, segments, blocks, boxes and directories.

A random bit flip rarely gets past a checksum or a length. These change the parts of a file, and write lengths and
checksums that fit, or one that lies.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

Parts = list[tuple[bytes, bytes]]
"""Kind and content of each part."""

OPERATIONS = ("drop", "repeat", "swap", "front", "back", "empty", "shorten", "lengthen", "kind", "lie", "number")
"""What can be done to a part."""

NUMBERS = (0, 1, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def restructured(data: bytes, operation: str, position: float, number: int) -> bytes:
    """The file with one of its parts changed; the file itself where it has none.

    Args:
        data: the file.
        operation: one of ``OPERATIONS``.
        place: which part, and where in it, from 0 to 1.
        number: index of the number that is written, or how far a part moves.
    """
    try:
        return _restructured(data, operation, position, number)
    except (struct.error, IndexError, OverflowError):  # other mutations have left too little of its structure
        return data


def _restructured(data: bytes, operation: str, position: float, number: int) -> bytes:
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(data, operation, position, number)
    for begin, split, join in (
        (b"\x89PNG", _png_parts, _png_file),
        (b"\xff\xd8", _jpeg_parts, _jpeg_file),
        (b"RIFF", _riff_parts, _riff_file),
        (b"GIF8", _gif_parts, _gif_file),
    ):
        if data.startswith(begin):
            return _changed(split(data), operation, position, number, join)
    if data[4:8] in (b"ftyp", b"JXL "):
        return _boxes(data, operation, position, number)
    return _header_number(data, position, number)


def _changed(
    parts: Parts, operation: str, position: float, number: int, join: Callable[[Parts, dict[int, int]], bytes]
) -> bytes:
    """The file of these parts, one of them changed; ``join`` takes lengths that are to lie, by part."""
    if not parts:
        return join(parts, {})
    at, lies = int(position * len(parts)), dict[int, int]()
    kind, content = parts[at]
    inside = int(position * 7919 % 1 * len(content))
    if operation == "drop":
        del parts[at]
    elif operation == "repeat":
        parts[at:at] = [parts[at]] * (1 + number)
    elif operation == "swap":
        other = (at + 1 + number) % len(parts)
        parts[at], parts[other] = parts[other], parts[at]
    elif operation == "front":
        parts.insert(0, parts.pop(at))
    elif operation == "back":
        parts.append(parts.pop(at))
    elif operation == "empty":
        parts[at] = kind, b""
    elif operation == "shorten":
        parts[at] = kind, content[:inside]
    elif operation == "lengthen":
        parts[at] = kind, content[:inside] + content
    elif operation == "kind":
        parts[at] = parts[number % len(parts)][0], content
    elif operation == "lie":
        lies[at] = NUMBERS[number % len(NUMBERS)]
    else:
        parts[at] = kind, _with_number(content, inside, number)
    return join(parts, lies)


def _with_number(content: bytes, at: int, number: int) -> bytes:
    """One byte, or four, of the content become another number."""
    value = NUMBERS[number % len(NUMBERS)]
    written = struct.pack(">I", value) if number % 2 else bytes([value & 255])
    return content[:at] + written + content[at + len(written) :]


def _png_parts(data: bytes) -> Parts:
    parts, at = Parts(), 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _png_file(parts: Parts, lies: dict[int, int]) -> bytes:
    made = [b"\x89PNG\r\n\x1a\n"]
    for at, (kind, content) in enumerate(parts):
        length = lies.get(at, len(content))
        made.append(struct.pack(">I", length) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))
    return b"".join(made)


def _jpeg_parts(data: bytes) -> Parts:
    """Segments; the coded pixels behind the first scan are a part of their own, without a kind."""
    parts, at = Parts(), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append((data[at : at + 2], data[at + 4 : at + 2 + length]))
        at += 2 + length
        if parts[-1][0] == b"\xff\xda":
            break
    return [*parts, (b"", data[at:])]


def _jpeg_file(parts: Parts, lies: dict[int, int]) -> bytes:
    made = [b"\xff\xd8"]
    for at, (kind, content) in enumerate(parts):
        length = struct.pack(">H", (lies.get(at, len(content) + 2)) & 0xFFFF) if kind else b""
        made.append(kind + length + content)
    return b"".join(made)


def _riff_parts(data: bytes) -> Parts:
    parts, at = Parts(), 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


def _riff_file(parts: Parts, lies: dict[int, int]) -> bytes:
    made = []
    for at, (kind, content) in enumerate(parts):
        made.append(kind + struct.pack("<I", lies.get(at, len(content))) + content + b"\0" * (len(content) % 2))
    body = b"WEBP" + b"".join(made)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _gif_parts(data: bytes) -> Parts:
    """The screen and its colours; then each extension and image with its sub-blocks."""
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    parts = [(b"", data[:at])]
    while at < len(data) and data[at] in (0x21, 0x2C):
        start = at
        if data[at] == 0x21:
            at += 2
        else:
            at += 11 + (3 * 2 ** ((data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0)
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        parts.append((data[start : start + 1], data[start + 1 : at]))
    return [*parts, (b"", data[at:])]


def _gif_file(parts: Parts, lies: dict[int, int]) -> bytes:
    return b"".join(kind + content for kind, content in parts)


CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
"""Boxes that hold boxes, and the bytes before the first of them."""


def _boxes(data: bytes, operation: str, position: float, number: int) -> bytes:
    """A box at any depth; those around it get the size that fits."""
    parts = Parts()
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        if size < 8:
            break
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    inner = [index for index, (kind, _) in enumerate(parts) if kind in CONTAINERS]
    if inner and position * 1009 % 1 < 0.7:
        index = inner[number % len(inner)]
        kind, content = parts[index]
        head = CONTAINERS[kind]
        parts[index] = kind, content[:head] + _boxes(content[head:], operation, position * 31 % 1, number)
        return _box_file(parts, {})
    return _changed(parts, operation, position, number, _box_file)


def _box_file(parts: Parts, lies: dict[int, int]) -> bytes:
    return b"".join(
        struct.pack(">I", lies.get(at, len(content) + 8)) + kind + content for at, (kind, content) in enumerate(parts)
    )


def _tiff(data: bytes, operation: str, position: float, number: int) -> bytes:
    """One field of one entry of a directory, or where the next directory lies: it may be the same again."""
    order, big = "<" if data[:2] == b"II" else ">", data[2:3] == b"+" or data[3:4] == b"+"
    word, entry, count_code = ("Q", 20, "Q") if big else ("I", 12, "H")
    wide, counted = struct.calcsize("<" + word), struct.calcsize("<" + count_code)
    directories, at = list[tuple[int, int]](), 8 if big else 4
    try:
        (offset,) = struct.unpack_from(order + word, data, at)
        while offset and len(directories) < 16:
            (entries,) = struct.unpack_from(order + count_code, data, offset)
            directories.append((offset, entries))
            (offset,) = struct.unpack_from(order + word, data, offset + counted + entries * entry)
    except (struct.error, OverflowError):
        pass
    if not directories:
        return data
    start, entries = directories[int(position * len(directories))]
    out = bytearray(data)
    value = NUMBERS[number % len(NUMBERS)]
    chosen = start + counted + int(position * 7919 % 1 * entries) * entry
    if operation in ("swap", "front", "back"):  # the next directory: an earlier one, or itself
        where, code, value = start + counted + entries * entry, word, directories[number % len(directories)][0]
    elif operation in ("drop", "repeat"):
        where, code, value = start, count_code, max(0, entries + (1 + number if operation == "repeat" else -1))
    elif operation == "kind":
        where, code, value = chosen + 2, "H", number % 19
    elif operation in ("shorten", "lengthen", "lie"):
        where, code = chosen + 4, word
    elif operation == "empty":
        where, code, value = chosen, "H", (330, 34665, 34853, 273, 324, 700)[number % 6]
    else:  # the value, or where it lies: a directory's own beginning among others
        where, code, value = chosen + 4 + wide, word, (start, value)[number % 2]
    limit = 2 ** (8 * struct.calcsize("<" + code)) - 1
    struct.pack_into(order + code, out, min(where, len(out) - struct.calcsize("<" + code)), value & limit)
    return bytes(out)


def _header_number(data: bytes, position: float, number: int) -> bytes:
    """Bitmaps and PPM: a number of the header."""
    if data[:1] == b"P":
        words = data.split(maxsplit=4)
        if len(words) == 5:
            at = 1 + int(position * 3)
            words[at] = str((0, 1, -1, 65535, 65536, 2**31, 10**12)[number % 7]).encode()
            return b" ".join(words[:4]) + b"\n" + words[4]
        return data
    return _with_number(data[:124], int(position * min(len(data), 124)), number) + data[124:]
