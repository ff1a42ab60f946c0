"""Reading PBM, PGM and PPM of any depth, with one or several images (Netpbm: pbm(5), pgm(5), ppm(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.limits import check_size, check_total
from gramgan_cli.core.images.photo import Frame, Metadata, Photo, Unreadable, left_out
from gramgan_cli.core.images.samples import EIGHT, SIXTEEN, stretched

Array = NDArray[Any]

_GAP = rb"(?:\s|#[^\n]*\n)+"
_NUMBERS = rb"P([1-6])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})"
_BITS = re.compile(_NUMBERS + rb"\s")
_SAMPLES = re.compile(_NUMBERS + _GAP + rb"(\d{1,5})\s")

LARGEST_PICTURES = 4096


@dataclass(frozen=True)
class Header:
    """Header of one image."""

    width: int
    height: int
    channels: int
    top: int
    """Value of full intensity."""
    plain: bool
    """Whether samples are decimal numbers."""
    bitmap: bool
    """Whether there is one bit per sample; 1 is black."""
    start: int
    """Offset of the samples."""

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.width * self.height * self.channels

    @property
    def byte_count(self) -> int:
        """Size of the samples in bytes, if they are binary."""
        return self.height * -(-self.width // 8) if self.bitmap else self.count * (2 if self.top > 255 else 1)

    @property
    def frame(self) -> Frame:
        """Shape in memory."""
        return Frame(self.width, self.height, self.channels, SIXTEEN if self.top > 255 else EIGHT)


def read_header(data: bytes, at: int = 0) -> Header | None:
    """Parse the header at ``at``; return None if it is not a valid one."""
    bitmap = data[at : at + 2] in (b"P1", b"P4")
    match = (_BITS if bitmap else _SAMPLES).match(data, at, at + 4096)
    if match is None:
        return None
    kind, width, height, *top = (int(number) for number in match.groups())
    channels = 3 if kind in (3, 6) else 1
    return Header(width, height, channels, top[0] if top else 1, kind < 4, bitmap, match.end())


def open_netpbm(data: bytes, name: str, lenient: bool) -> Photo:
    """Open PBM, PGM or PPM. Several images in one file are pages. Grey PFM is read by Pillow."""
    if data[:2] == b"Pf":
        return pillow.opened(data, name, lenient).photo()
    header = read_header(data)
    if header is None or not header.width or not header.height or not 0 < header.top < 65536:
        raise Unreadable("its header is invalid")
    headers, notes = [header], tuple[str, ...]()
    check_size(name, header.width, header.height, len(data))
    if not header.plain:
        if not lenient and len(data) - header.start < header.byte_count:
            raise Unreadable("the file ends early")
        headers, rest = _all_headers(data, name, header)
        notes = left_out([f"{len(rest)} bytes after its end"] if rest.strip() else [])
    check_total(name, sum(one.width * one.height for one in headers), len(data))

    def decode() -> Iterator[Array]:
        for one in headers:
            yield samples_of(data, one, lenient)

    frames, further = tuple(one.frame for one in headers), (Metadata(),) * (len(headers) - 1)
    return Photo(name, "ppm", frames, True, decode, warnings=notes, further_pages=further)


def _all_headers(data: bytes, name: str, first: Header) -> tuple[list[Header], bytes]:
    """Return the headers of all consecutive images, and the bytes after the last one."""
    headers = [first]
    while True:
        end = headers[-1].start + headers[-1].byte_count
        following = read_header(data, end) if len(headers) < LARGEST_PICTURES else None
        if following is None or following.plain or not following.count or not 0 < following.top < 65536:
            return headers, data[end:]
        check_size(name, following.width, following.height, len(data))
        if len(data) - following.start < following.byte_count:
            raise Unreadable(f"image {len(headers) + 1} in the file ends early")
        headers.append(following)


def samples_of(data: bytes, header: Header, lenient: bool) -> Array:
    """Return (H, W, 1 or 3), stretched to 8 or 16 bits; if ``lenient``, missing samples are 0. Raises Unreadable."""
    shape = (header.height, header.width, header.channels)
    if header.bitmap:
        return np.where(_bits(data, header, lenient), 0, 255).astype(np.uint8).reshape(shape)
    if header.plain:
        stored = _numbers(data, header)
    else:
        size = 2 if header.top > 255 else 1
        held = min(header.count, (len(data) - header.start) // size)
        stored = np.frombuffer(data, ">u2" if size == 2 else np.uint8, held, header.start)
    stored = _completed(stored, header.count, lenient)
    if header.top == 255:
        return stored.astype(np.uint8).reshape(shape)
    if header.top > 255:
        return stretched(stored, header.top).reshape(shape)
    top = header.top
    scaled = (np.minimum(stored, top).astype(np.uint32) * 255 + top // 2) // top
    return scaled.astype(np.uint8).reshape(shape)


def _completed(stored: Array, count: int, lenient: bool) -> Array:
    if len(stored) >= count:
        return stored[:count]
    if not lenient:
        raise Unreadable("the file ends early")
    if not len(stored):
        raise Unreadable("no pixel data is left")
    return np.pad(stored, (0, count - len(stored)))


def _text(data: bytes, header: Header) -> bytes:
    """Return the text after the header, without comments."""
    return re.sub(rb"#[^\n]*", b"", data[header.start :])


def _numbers(data: bytes, header: Header) -> Array:
    text = _text(data, header)
    if not re.fullmatch(rb"[\d\s]*", text):
        raise Unreadable("its samples are not numbers")
    if re.search(rb"\d{10}", text):
        raise Unreadable("a sample is larger than the header allows")
    return np.fromstring(text.decode("ascii"), np.uint32, sep=" ")


def _bits(data: bytes, header: Header, lenient: bool) -> Array:
    """Return a bitmap's samples, 1 for black."""
    if header.plain:
        digits = np.frombuffer(re.sub(rb"\s", b"", _text(data, header)), np.uint8)
        if not np.isin(digits[: header.count], (48, 49)).all():
            raise Unreadable("its samples are not numbers")
        return _completed(digits - 48, header.count, lenient)
    held = np.frombuffer(data[header.start : header.start + header.byte_count], np.uint8)
    rows = _completed(held, header.byte_count, lenient).reshape(header.height, -1)
    return np.unpackbits(rows, axis=1)[:, : header.width]
