"""PNG chunks, and repair of truncated files (PNG 3rd edition, W3C 2025)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gramgan_cli.core.images.photo import Unsupported

Chunk = tuple[bytes, bytes]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel by colour type."""
INFLATION = 1032
"""Largest compression ratio of deflate."""
LARGEST_PROFILE = 2**24
"""Maximum decompressed size of an ICC profile in bytes; real ones have up to a few MB."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and column and row step, of each interlacing pass."""


class DamagedPng(ValueError):
    """The file is not a complete PNG."""


@dataclass(frozen=True)
class Header:
    """Content of IHDR."""

    width: int
    height: int
    depth: int
    """Bits per sample."""
    colour: int
    """Colour type: 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA."""
    interlaced: bool

    def raw_size(self) -> int:
        """Return the size of the filtered image data in bytes, before compression."""
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


ANCILLARY = 0x20
"""Bit of a type's first letter: the image can be shown without the chunk (section 5.4)."""

SAFE_TO_COPY = 0x20
"""Bit of a type's fourth letter: the chunk stays valid for a modified image."""

NEEDED = frozenset((b"tRNS", b"acTL", b"fcTL", b"fdAT"))
"""Ancillary chunks that change how the image looks."""


def read_chunks(data: bytes, whole: bool = True) -> tuple[list[Chunk], tuple[str, ...]]:
    """Return all chunks up to IEND, in order, and the types of chunks dropped because of a wrong checksum.

    Only ancillary chunks that do not change the image are dropped. Raises DamagedPng if the file ends before the image
    is complete or if another checksum is wrong. If ``whole`` is false, the chunks before the end are returned instead,
    and wrong checksums are ignored.
    """
    chunks, wrong = list[Chunk](), list[str]()
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        if whole and (len(content) < length or at + 12 + length > len(data)):
            break
        at += 12 + length
        if whole and zlib.crc32(kind + content) != struct.unpack_from(">I", data, at - 4)[0]:
            if not kind[0] & ANCILLARY or kind in NEEDED:
                raise DamagedPng(f"the checksum of chunk {kind.decode('latin-1')!r} is wrong")
            wrong.append(kind.decode("latin-1"))
            continue
        chunks.append((kind, content))
        if kind == b"IEND":
            return chunks, tuple(wrong)
    if whole and not _is_whole(chunks):
        raise DamagedPng("the file ends early")
    return chunks, tuple(wrong)


def end_of(data: bytes) -> int:
    """Return the offset after IEND, or the file's length if that chunk is missing."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            return at
    return len(data)


def _is_whole(chunks: Sequence[Chunk]) -> bool:
    """Return whether a still image is complete, including the checksum of its compressed data."""
    header = header_of(chunks)
    packed = b"".join(content for kind, content in chunks if kind == b"IDAT")
    if any(kind == b"acTL" for kind, _ in chunks) or header.raw_size() > INFLATION * len(packed):
        return False
    unpacker, length = zlib.decompressobj(), 0
    try:
        while packed and not unpacker.eof and length <= header.raw_size():
            length += len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof and length >= header.raw_size()


def header_of(chunks: Sequence[Chunk]) -> Header:
    """Parse and check IHDR; raises DamagedPng and Unsupported."""
    if chunks and chunks[0][0] == b"CgBI":
        raise Unsupported(
            "CgBI, Apple's variant of PNG", "Convert it with Xcode: pngcrush -revert-iphone-optimizations."
        )
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise DamagedPng("it does not start with a header")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    allowed = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    if depth not in allowed.get(colour, ()) or not width or not height:
        raise DamagedPng("its header is invalid")
    return Header(width, height, depth, colour, interlace == 1)


def pack_header(header: Header) -> bytes:
    """Return the content of IHDR."""
    kind = (header.depth, header.colour, 0, 0, int(header.interlaced))
    return struct.pack(">IIBBBBB", header.width, header.height, *kind)


def pack_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk: length, type, content, checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def rebuilt(chunks: Iterable[Chunk]) -> bytes:
    """Return a PNG file with these chunks."""
    return SIGNATURE + b"".join(pack_chunk(kind, content) for kind, content in chunks)


def repaired(chunks: Sequence[Chunk]) -> bytes:
    """Return a complete PNG from the chunks of a damaged one; missing image data is set to zero.

    Raises DamagedPng if no pixels are left.
    """
    header = header_of(chunks)
    raw = _unpack_what_is_there(b"".join(content for kind, content in chunks if kind == b"IDAT"), header.raw_size())
    if not raw:
        raise DamagedPng("no pixel data is left")
    kept = [chunk for chunk in chunks if chunk[0] in (b"IHDR", b"PLTE", b"tRNS")]
    return rebuilt([*kept, (b"IDAT", zlib.compress(raw.ljust(header.raw_size(), b"\0"), 1)), (b"IEND", b"")])


def interlacing_passes(chunks: Sequence[Chunk]) -> Iterator[tuple[tuple[int, int, int, int], bytes]]:
    """Yield the seven reduced images of an interlaced PNG, each as a PNG file with its entry of ADAM7.

    Raises DamagedPng if the image data is incomplete.
    """
    header = header_of(chunks)
    raw = _unpack_what_is_there(b"".join(content for kind, content in chunks if kind == b"IDAT"), header.raw_size())
    if len(raw) < header.raw_size():
        raise DamagedPng("its image data is damaged")
    at = 0
    for grid in ADAM7:
        first_x, first_y, step_x, step_y = grid
        width = -(-(header.width - first_x) // step_x)
        height = -(-(header.height - first_y) // step_y)
        if width <= 0 or height <= 0:
            continue
        part = Header(width, height, header.depth, header.colour, interlaced=False)
        packed = zlib.compress(raw[at : at + part.raw_size()], 1)
        yield grid, rebuilt([(b"IHDR", pack_header(part)), (b"IDAT", packed), (b"IEND", b"")])
        at += part.raw_size()


def _unpack_what_is_there(packed: bytes, length: int) -> bytes:
    unpacker, raw = zlib.decompressobj(), bytearray()
    for start in range(0, len(packed), 512):  # in small steps, because an error loses the whole step
        try:
            raw += unpacker.decompress(packed[start : start + 512], max(1, length - len(raw)))
        except zlib.error:
            break
        if len(raw) >= length:
            break
    return bytes(raw[:length])


def unpack_profile(content: bytes) -> bytes | None:
    """Return the ICC profile of an iCCP chunk; None if it is damaged or absurdly large."""
    packed = content.partition(b"\0")[2][1:]
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if unpacker.eof else None


def pack_profile(profile: bytes) -> bytes:
    """Return the content of an iCCP chunk."""
    return b"ICC profile\0\0" + zlib.compress(profile, 9)


def pack_xmp(xmp: bytes) -> bytes:
    """Return the content of an iTXt chunk with XMP."""
    return b"XML:com.adobe.xmp\0\0\0\0\0" + xmp


def unpack_xmp(content: bytes) -> bytes | None:
    """Return the XMP of an iTXt chunk; None if the chunk is another text or damaged."""
    return _international_text(content) if content.startswith(b"XML:com.adobe.xmp\0") else None


def unpack_text(kind: bytes, content: bytes) -> str | None:
    """Return the text of a tEXt, zTXt or iTXt chunk; None for other chunks and damaged ones."""
    text = content.partition(b"\0")[2]
    if kind == b"tEXt":
        return text.decode("latin-1")
    unpacked = _inflated(text[1:]) if kind == b"zTXt" else _international_text(content) if kind == b"iTXt" else None
    return None if unpacked is None else unpacked.decode("latin-1" if kind == b"zTXt" else "utf-8", "replace")


def _international_text(content: bytes) -> bytes | None:
    """Return the text of an iTXt chunk, in UTF-8; None if it is damaged."""
    rest = content.partition(b"\0")[2]
    if len(rest) < 2:
        return None
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if rest[0] else text


def _inflated(packed: bytes) -> bytes | None:
    """Decompress at most ``LARGEST_PROFILE`` bytes; None if they are damaged."""
    try:
        return zlib.decompressobj().decompress(packed, LARGEST_PROFILE)
    except zlib.error:
        return None
