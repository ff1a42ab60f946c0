"""Writing PNG and animated PNG from row bands (PNG 3rd edition, W3C 2025)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any

import numpy as np
from imagecodecs import deflate_encode
from numpy.typing import NDArray

from gramgan_cli.core.images.formats.png.chunks import SIGNATURE, Chunk, pack_chunk

Array = NDArray[Any]

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Colour type by samples per pixel."""
COMPRESSION = 3
"""zlib level. Four times as fast as level 6, and 3% larger (measured on a photograph enlarged by 2)."""

LIBDEFLATE = 2
"""libdeflate level for frames of up to ``AT_ONCE`` bytes, which are compressed in one call: 2.5 times as fast as zlib
level 3, and 4% smaller."""

AT_ONCE = 2**22


@dataclass(frozen=True)
class Timing:
    """Timing of an animated PNG."""

    durations: tuple[float, ...]
    """Milliseconds per frame."""
    plays: int
    """How many times it plays; 0 is for ever."""


class PngWriter:
    """Writes a PNG or animated PNG to a stream, with one row band in memory at a time.

    Args:
        file: written from its current position, never sought.
        width, height, channels, dtype: shape of every frame; 1 to 4 channels, uint8 or uint16.
        ancillary: chunks between the header and the image data.
        timing: writes an APNG with as many frames as there are durations.
    """

    def __init__(
        self,
        file: IO[bytes],
        width: int,
        height: int,
        channels: int,
        dtype: np.dtype[Any],
        ancillary: Sequence[Chunk] = (),
        timing: Timing | None = None,
    ) -> None:
        self._file = file
        self._size = (width, height)
        self._pixel_bytes = channels * dtype.itemsize
        self._timing = timing
        self._frame = 0
        self._sequence = 0
        depth = 8 * dtype.itemsize
        file.write(SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPES[channels], 0, 0, 0))
        if timing:
            self._chunk(b"acTL", struct.pack(">II", len(timing.durations), timing.plays))
        for kind, content in ancillary:
            self._chunk(kind, content)

    def write_frame(self, bands: Iterable[Array]) -> None:
        """Write one frame from bands (rows, width, channels), from top to bottom."""
        if self._timing:
            self._frame_control(self._timing.durations[self._frame])
        pieces = self._filtered(bands)
        if self._size[0] * self._size[1] * self._pixel_bytes <= AT_ONCE:
            self._data(bytes(deflate_encode(b"".join(pieces), level=LIBDEFLATE)))
        else:
            packer = zlib.compressobj(COMPRESSION, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
            for piece in pieces:
                self._data(packer.compress(piece))
            self._data(packer.flush())
        self._frame += 1

    def _filtered(self, bands: Iterable[Array]) -> Iterator[bytes]:
        """Yield the filtered rows for the compressor."""
        above = np.zeros(self._size[0] * self._pixel_bytes, np.uint8)
        for band in bands:
            for raw in self._in_pieces(band):
                yield filtered(raw, above, self._pixel_bytes)
                above = raw[-1]

    def close(self) -> None:
        """Write the end; the stream stays open."""
        self._chunk(b"IEND", b"")

    def _in_pieces(self, band: Array) -> Iterator[NDArray[np.uint8]]:
        """Split a band into raw bytes in PNG's byte order, 64 rows at a time; filtering needs several times that."""
        for start in range(0, len(band), 64):
            piece = np.ascontiguousarray(band[start : start + 64])
            yield piece.astype(piece.dtype.newbyteorder(">"), copy=False).view(np.uint8).reshape(len(piece), -1)

    def _frame_control(self, milliseconds: float) -> None:
        content = struct.pack(">IIIIIHHBB", self._sequence, *self._size, 0, 0, *delay(milliseconds), 0, 0)
        self._chunk(b"fcTL", content)
        self._sequence += 1

    def _data(self, content: bytes) -> None:
        if not content:
            return
        if self._frame == 0:
            self._chunk(b"IDAT", content)
        else:
            self._chunk(b"fdAT", struct.pack(">I", self._sequence) + content)
            self._sequence += 1

    def _chunk(self, kind: bytes, content: bytes) -> None:
        self._file.write(pack_chunk(kind, content))


def delay(milliseconds: float) -> tuple[int, int]:
    """Return a frame's seconds as a 16-bit numerator and denominator: thousandths, or the nearest fraction."""
    if milliseconds == round(milliseconds) and milliseconds <= 65535:
        return round(milliseconds), 1000
    seconds = min(milliseconds / 1000, 65535.0)
    fraction = Fraction(seconds).limit_denominator(min(65535, int(65535 / max(seconds, 1))))
    return fraction.numerator, fraction.denominator


def filtered(raw: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> bytes:
    """Filter rows for compression. Each row gets the one of Sub, Up and Paeth with the smallest sum of magnitudes.

    PNG 3rd edition, section 9 and its recommendation in 12.7.

    Args:
        raw: (rows, bytes per row).
        above: the row before the first one.
        pixel: bytes per pixel.
    """
    up = np.concatenate((above[None], raw[:-1]))
    left = np.zeros_like(raw)
    left[:, pixel:] = raw[:, :-pixel]
    up_left = np.zeros_like(raw)
    up_left[:, pixel:] = up[:, :-pixel]
    candidates = {1: raw - left, 2: raw - up, 4: raw - _paeth(left, up, up_left)}
    costs = [np.abs(candidate.view(np.int8).astype(np.int16)).sum(axis=1) for candidate in candidates.values()]
    best = np.argmin(costs, axis=0)
    out = np.empty((raw.shape[0], raw.shape[1] + 1), np.uint8)
    for index, (kind, candidate) in enumerate(candidates.items()):
        out[best == index, 0] = kind
        out[best == index, 1:] = candidate[best == index]
    return out.tobytes()


def _paeth(left: Array, up: Array, up_left: Array) -> NDArray[np.uint8]:
    """Return the one of left, up, up-left nearest to left + up - up-left; ties in this order (section 9.4)."""
    a, b, c = (plane.astype(np.int16) for plane in (left, up, up_left))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, up_left))
