"""What the boxes of AVIF and HEIC say of the picture (ISO/IEC 14496-12, 4.2; ISO/IEC 23008-12, 6.5; AV1-ISOBMFF)."""

from __future__ import annotations

from collections.abc import Iterator

SRGB_PRIMARIES = (1, 2)
SRGB_TRANSFERS = (1, 2, 6, 13, 14, 15)
"""CICP codes (ITU-T H.273) that viewers show as sRGB: BT.709's and its kin, and 'unspecified'."""


def walk(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin and end of the content of each box."""
    while at + 8 <= end:
        size, kind, body = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = end if size == 0 else at + size
        if stop < body:
            return
        yield kind, body, stop
        at = stop


def boxes_end(data: bytes) -> bool:
    """Whether the boxes end where the file does, or before."""
    last = max((stop for _, _, stop in walk(data, 0, len(data))), default=0)
    return 0 < last <= len(data) < last + 8


def _properties(data: bytes) -> dict[bytes, bytes]:
    """The first property of each type, by type: colr, av1C, pixi and so on."""
    found: dict[bytes, bytes] = {}
    path = {b"meta": 4, b"iprp": 0, b"ipco": 0}

    def descend(at: int, end: int, inside: bytes) -> None:
        for kind, body, stop in walk(data, at, min(end, len(data))):
            if inside == b"ipco":
                label = kind + data[body : body + 4] if kind == b"colr" else kind
                found.setdefault(label, data[body:stop])
            elif kind in path:
                descend(body + path[kind], stop, kind)

    descend(0, len(data), b"")
    return found


def sample_bits(data: bytes) -> int:
    """Bits per sample of an AVIF picture: 8, 10 or 12."""
    configuration = _properties(data).get(b"av1C", b"").ljust(4, b"\0")
    high, twelve = configuration[2] & 0x40, configuration[2] & 0x20
    return 12 if high and twelve else 10 if high else 8


def unusual_colours(data: bytes) -> tuple[int, int] | None:
    """CICP primaries and transfer function of a picture without ICC profile; None where they are sRGB's."""
    properties = _properties(data)
    colour = properties.get(b"colrnclx", b"")
    if b"colrprof" in properties or b"colrrICC" in properties or len(colour) < 10:
        return None
    primaries, transfer = (int.from_bytes(colour[at : at + 2], "big") for at in (4, 6))
    return None if primaries in SRGB_PRIMARIES and transfer in SRGB_TRANSFERS else (primaries, transfer)
