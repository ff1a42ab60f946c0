"""PPM and PGM of more than eight bits, which Pillow would reduce (Netpbm: ppm(5), pgm(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def decode(data: bytes, header: Header, lenient: bool) -> NDArray[Any]:
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
    top = header.top
    scaled = (np.minimum(stored, top) * 65535 + top // 2) // top
    return scaled.astype(np.uint16).reshape(header.height, header.width, header.channels)
