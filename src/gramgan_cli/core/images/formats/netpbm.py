"""Reading PPM, PGM and PBM; those of more than eight bits, which Pillow would reduce, here (Netpbm: ppm(5), pgm(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.limits import check_size
from gramgan_cli.core.images.photo import Frame, Photo, Unreadable
from gramgan_cli.core.images.samples import SIXTEEN, stretched

Array = NDArray[Any]

_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s")


class DamagedNetpbm(ValueError):
    """The samples are not what the header announces."""


@dataclass(frozen=True)
class Header:
    """What stands before the samples."""

    width: int
    height: int
    channels: int
    top: int
    """The value of full intensity."""
    plain: bool
    """Samples are written as decimal numbers."""
    start: int
    """Where they begin."""


def read_header(data: bytes) -> Header | None:
    """The header of a PGM or PPM; None where it is none or can't be read."""
    match = _HEADER.match(data[:4096])
    if match is None:
        return None
    kind, width, height, top = (int(number) for number in match.groups())
    return Header(width, height, 3 if kind in (3, 6) else 1, top, kind < 4, match.end())


def open_netpbm(data: bytes, name: str, lenient: bool) -> Photo:
    """PPM, PGM, PBM."""
    if (header := read_header(data)) and header.top > 255:
        return open_deep_netpbm(data, name, lenient)
    return pillow.opened(data, name, lenient).photo()


def open_deep_netpbm(data: bytes, name: str, lenient: bool) -> Photo:
    """PPM or PGM of more than eight bits."""
    header = read_header(data)
    if header is None or not header.width or not header.height or header.top > 65535:
        raise Unreadable("its header makes no sense")
    check_size(name, header.width, header.height, len(data))
    if (
        not header.plain
        and not lenient
        and len(data) - header.start < 2 * header.width * header.height * header.channels
    ):
        raise Unreadable("the file ends early")

    def decode() -> Iterator[Array]:
        yield samples_of(data, header, lenient)

    return Photo(name, "ppm", (Frame(header.width, header.height, header.channels, SIXTEEN),), True, decode)


def samples_of(data: bytes, header: Header, lenient: bool) -> Array:
    """Samples stretched to 16 bits: (H, W, 1 or 3) uint16; where ``lenient``, missing ones are 0.

    Raises DamagedNetpbm.
    """
    count = header.width * header.height * header.channels
    if header.plain:
        text = re.sub(rb"#[^\n]*", b"", data[header.start :])
        if not re.fullmatch(rb"[\d\s]*", text):
            raise DamagedNetpbm("its samples are not numbers")
        stored = np.fromstring(text.decode("ascii"), np.uint32, sep=" ")[:count]
    else:
        held = min(count, (len(data) - header.start) // 2)
        stored = np.frombuffer(data, ">u2", held, header.start).astype(np.uint32)
    if len(stored) < count:
        if not lenient:
            raise DamagedNetpbm("the file ends early")
        stored = np.pad(stored, (0, count - len(stored)))
    return stretched(stored, header.top).reshape(header.height, header.width, header.channels)
