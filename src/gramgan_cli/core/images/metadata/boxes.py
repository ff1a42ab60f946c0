"""Boxes and items of AVIF, HEIC and JPEG XL files (ISO/IEC 14496-12, 4.2, 8.11.3, 8.11.6)."""

from __future__ import annotations

from collections.abc import Iterator


def walk(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each box."""
    while at + 8 <= end:
        size, kind, body = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = end if size == 0 else at + size
        if stop < body:
            return
        yield kind, body, stop
        at = stop


def item_types(data: bytes) -> set[bytes]:
    """Return the types of a file's items."""
    found = set[bytes]()
    for kind, body, stop in walk(data, 0, len(data)):
        if kind == b"meta":
            found |= set(_items(data[body : min(stop, len(data))]).values())
    return found


def item_extents(meta: bytes, kind: bytes) -> list[tuple[int, int]]:
    """Return the extents of all items of a type, as (offset, length) in the file.

    Args:
        meta: the content of the box ``meta``.
        kind: four-letter item type.
    """
    numbers = {number for number, name in _items(meta).items() if name == kind}
    boxes = {name: meta[body : min(stop, len(meta))] for name, body, stop in walk(meta, 4, len(meta))}
    return [extent for number, extent in _locations(boxes.get(b"iloc", b"")) if number in numbers]


def _items(meta: bytes) -> dict[int, bytes]:
    """Return the type of each item by its number, from ``infe`` boxes of version 2 (16-bit numbers) or 3 (32-bit)."""
    found = {}
    for kind, body, stop in walk(meta, 4, len(meta)):
        if kind != b"iinf":
            continue
        first = body + (6 if meta[body : body + 1] == b"\0" else 8)
        for _, at, _end in walk(meta, first, min(stop, len(meta))):
            wide = 2 if meta[at : at + 1] == b"\2" else 4
            found[int.from_bytes(meta[at + 4 : at + 4 + wide], "big")] = meta[at + 6 + wide : at + 10 + wide]
    return found


def _locations(iloc: bytes) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield item number and (offset, length) of each extent that is stored in the file itself."""
    if len(iloc) < 8:
        return
    version, at = iloc[0], 6
    offset_size, length_size, base_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
    index_size = iloc[5] & 15 if version in (1, 2) else 0

    def take(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(iloc[at - size : at], "big")

    wide = 4 if version == 2 else 2
    for _ in range(take(wide)):
        number = take(wide)
        in_file = version == 0 or take(2) & 15 == 0
        take(2)
        base = take(base_size)
        for _ in range(take(2)):
            take(index_size)
            offset, length = take(offset_size), take(length_size)
            if at > len(iloc):
                return
            if in_file:
                yield number, (base + offset, length)
