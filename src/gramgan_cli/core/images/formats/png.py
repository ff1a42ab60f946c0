"""PNG: its chunks, repairing a file that was cut off, writing row bands as they come (PNG 3rd edition, W3C 2025)."""

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

Array = NDArray[Any]
Chunk = tuple[bytes, bytes]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel by colour type."""
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Colour type by samples per pixel."""
COMPRESSION = 3
"""zlib's. Against level 6: four times as fast, 3% larger (a photograph enlarged by 2)."""

LIBDEFLATE = 2
"""libdeflate's level for frames of up to ``AT_ONCE`` bytes, which it takes whole: 2.5 times as fast as zlib's level 3,
4% smaller."""

AT_ONCE = 2**22
INFLATION = 1032
"""Deflate's largest ratio of unpacked to packed."""
LARGEST_PROFILE = 2**24
"""Bytes that an ICC profile may unpack to; real ones reach a few MB."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, column and row step of each interlacing pass."""


class DamagedPng(ValueError):
    """The file is not a whole PNG."""


@dataclass(frozen=True)
class Header:
    """IHDR."""

    width: int
    height: int
    depth: int
    """Bits per sample."""
    colour: int
    """Colour type: 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA."""
    interlaced: bool

    def raw_size(self) -> int:
        """Bytes of the filtered image data, before compression."""
        if not self.interlaced:
            return self.height * (1 + self._row_bytes(self.width))
        total = 0
        for first_x, first_y, step_x, step_y in ADAM7:
            columns = max(0, -(-(self.width - first_x) // step_x))
            rows = max(0, -(-(self.height - first_y) // step_y))
            total += rows * (1 + self._row_bytes(columns)) if columns else 0
        return total

    def _row_bytes(self, columns: int) -> int:
        return (columns * SAMPLES[self.colour] * self.depth + 7) // 8


def read_chunks(data: bytes, whole: bool = True) -> list[Chunk]:
    """All chunks up to IEND, in order.

    Raises DamagedPng where the file ends early or a checksum is wrong; with ``whole`` false, what came before is
    returned instead, and wrong checksums are overlooked.
    """
    chunks: list[Chunk] = []
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        if whole and (len(content) < length or at + 12 + length > len(data)):
            break
        if whole and zlib.crc32(data[at + 4 : at + 8 + length]) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise DamagedPng(f"the checksum of chunk {kind.decode('latin-1')!r} is wrong")
        chunks.append((kind, content))
        if kind == b"IEND":
            return chunks
        at += 12 + length
    if whole:
        raise DamagedPng("the file ends early")
    return chunks


def header_of(chunks: Sequence[Chunk]) -> Header:
    """IHDR, checked; raises DamagedPng."""
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise DamagedPng("it does not begin with a header")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    allowed = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    if depth not in allowed.get(colour, ()) or not width or not height:
        raise DamagedPng("its header makes no sense")
    return Header(width, height, depth, colour, interlace == 1)


def pack_header(header: Header) -> bytes:
    """The content of IHDR."""
    kind = (header.depth, header.colour, 0, 0, int(header.interlaced))
    return struct.pack(">IIBBBBB", header.width, header.height, *kind)


def pack_chunk(kind: bytes, content: bytes) -> bytes:
    """Length, type, content, checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def rebuilt(chunks: Iterable[Chunk]) -> bytes:
    """A PNG file of these chunks."""
    return SIGNATURE + b"".join(pack_chunk(kind, content) for kind, content in chunks)


def repaired(chunks: Sequence[Chunk]) -> bytes:
    """A whole PNG of what a damaged one still holds; what is missing of the image data becomes zero.

    Raises DamagedPng where not even the header is left.
    """
    header = header_of(chunks)
    raw = _unpack_what_is_there(b"".join(content for kind, content in chunks if kind == b"IDAT"), header.raw_size())
    kept = [chunk for chunk in chunks if chunk[0] in (b"IHDR", b"PLTE", b"tRNS")]
    return rebuilt([*kept, (b"IDAT", zlib.compress(raw.ljust(header.raw_size(), b"\0"), 1)), (b"IEND", b"")])


def interlacing_passes(chunks: Sequence[Chunk]) -> Iterator[tuple[tuple[int, int, int, int], bytes]]:
    """The seven small pictures of an interlaced PNG, each as a file of its own, with its place in ADAM7.

    Raises DamagedPng where the image data is not whole.
    """
    header = header_of(chunks)
    raw = _unpack_what_is_there(b"".join(content for kind, content in chunks if kind == b"IDAT"), header.raw_size())
    if len(raw) < header.raw_size():
        raise DamagedPng("its image data is damaged")
    at = 0
    for place in ADAM7:
        first_x, first_y, step_x, step_y = place
        width = -(-(header.width - first_x) // step_x)
        height = -(-(header.height - first_y) // step_y)
        if width <= 0 or height <= 0:
            continue
        part = Header(width, height, header.depth, header.colour, interlaced=False)
        packed = zlib.compress(raw[at : at + part.raw_size()], 1)
        yield place, rebuilt([(b"IHDR", pack_header(part)), (b"IDAT", packed), (b"IEND", b"")])
        at += part.raw_size()


def _unpack_what_is_there(packed: bytes, length: int) -> bytes:
    unpacker, raw = zlib.decompressobj(), bytearray()
    for start in range(0, len(packed), 512):  # small steps: an error loses one of them, not all
        try:
            raw += unpacker.decompress(packed[start : start + 512], max(1, length - len(raw)))
        except zlib.error:
            break
        if len(raw) >= length:
            break
    return bytes(raw[:length])


def unpack_profile(content: bytes) -> bytes | None:
    """The ICC profile of an iCCP chunk; None where it is damaged or absurdly large."""
    packed = content.partition(b"\0")[2][1:]
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if unpacker.eof else None


def pack_profile(profile: bytes) -> bytes:
    """The content of an iCCP chunk."""
    return b"ICC profile\0\0" + zlib.compress(profile, 9)


def pack_xmp(xmp: bytes) -> bytes:
    """The content of the iTXt chunk that holds XMP."""
    return b"XML:com.adobe.xmp\0\0\0\0\0" + xmp


def unpack_xmp(content: bytes) -> bytes | None:
    """The XMP of an iTXt chunk; None where the chunk is another text, or damaged."""
    keyword, _, rest = content.partition(b"\0")
    if keyword != b"XML:com.adobe.xmp" or len(rest) < 2:
        return None
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not rest[0]:
        return text
    try:
        return zlib.decompressobj().decompress(text, LARGEST_PROFILE)
    except zlib.error:
        return None


@dataclass(frozen=True)
class Timing:
    """What an animated PNG needs to know ahead."""

    durations: tuple[float, ...]
    """Milliseconds per frame."""
    plays: int
    """0 is for ever."""


class PngWriter:
    """Writes a PNG (or an animated one) to a stream, row band by row band; only the band at hand is in memory.

    Args:
        file: written from its current position on, never sought.
        width, height, channels, dtype: of every frame; 1 to 4 channels, uint8 or uint16.
        ancillary: chunks that go between the header and the image data.
        timing: makes it an APNG with as many frames as there are durations.
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
        """Write one frame from bands of (rows, width, channels) that follow one another from top to bottom."""
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
        """The rows as they go into the compressor."""
        above = np.zeros(self._size[0] * self._pixel_bytes, np.uint8)
        for band in bands:
            for raw in self._in_pieces(band):
                yield filtered(raw, above, self._pixel_bytes)
                above = raw[-1]

    def close(self) -> None:
        """Write the end; the stream stays open."""
        self._chunk(b"IEND", b"")

    def _in_pieces(self, band: Array) -> Iterator[NDArray[np.uint8]]:
        """(rows, width, C) -> raw bytes in PNG's byte order, 64 rows at a time: filtering needs several times that."""
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
    """Numerator and denominator of a frame's seconds, each of 16 bits: thousandths, or the nearest fraction."""
    if milliseconds == round(milliseconds) and milliseconds <= 65535:
        return round(milliseconds), 1000
    seconds = min(milliseconds / 1000, 65535.0)
    fraction = Fraction(seconds).limit_denominator(min(65535, int(65535 / max(seconds, 1))))
    return fraction.numerator, fraction.denominator


def filtered(raw: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> bytes:
    """Filter rows for compression: for each row, of Sub, Up and Paeth the one with the smallest sum of magnitudes.

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
    """Of left, up and up-left the one nearest to left + up - up-left; ties in this order (section 9.4)."""
    a, b, c = (plane.astype(np.int16) for plane in (left, up, up_left))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, up_left))
