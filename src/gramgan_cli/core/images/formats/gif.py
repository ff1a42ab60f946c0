"""Reading GIF (GIF89a specification; XMP specification, part 3, 1.1.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.limits import check_size, check_total
from gramgan_cli.core.images.photo import Metadata, Photo, Unreadable, left_out

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
"""First byte of each kind of block."""

COMMENT, PLAIN_TEXT, APPLICATION = 0xFE, 0x01, 0xFF
"""Labels of extensions."""

XMP, PROFILE = b"XMP DataXMP", b"ICCRGBG1012"
"""Applications whose extensions are kept."""

KNOWN_APPLICATIONS = (XMP, PROFILE, b"NETSCAPE2.0", b"ANIMEXTS1.0")


@dataclass(frozen=True)
class Block:
    """A block of the file."""

    kind: int
    label: int
    """Label of an extension."""
    begin: int
    """Offset of its first byte."""
    start: int
    """Offset of its first sub-block."""
    end: int
    """Offset after its terminating empty sub-block."""


class _EndsEarly(Exception):
    """The file ends before the trailer."""

    def __init__(self, within: bool) -> None:
        self.within = within
        """Whether the file ends inside a block; else only the trailer is missing."""


def _blocks(data: bytes) -> Iterator[Block]:
    """Yield the blocks up to the trailer; raise _EndsEarly if the file ends before it.

    Bytes between blocks that start no block are skipped, as decoders do.
    """
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if len(data) > 12 and data[10] & 0x80 else 0)
    within = at > len(data)
    try:
        while data[at] != TRAILER:
            begin, kind, label, start, within = at, data[at], 0, at, True
            if kind == EXTENSION:
                label, start = data[at + 1], at + 2
            elif kind == IMAGE:
                start += 11 + (3 * 2 ** ((data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0)
            else:
                at, within = at + 1, False
                continue
            at = start
            while data[at]:
                at += 1 + data[at]
            at += 1
            yield Block(kind, label, begin, start, at)
            within = at > len(data)
    except IndexError as error:
        raise _EndsEarly(within) from error


def open_gif(data: bytes, name: str, lenient: bool) -> Photo:
    """Open a still or animated GIF."""
    blocks, notes = list[Block](), tuple[str, ...]()
    try:
        blocks.extend(_blocks(data))
    except _EndsEarly as error:
        images = sum(block.kind == IMAGE for block in blocks)
        if images and not error.within:
            whole = "image" if images == 1 else f"{images} frames"
            notes = (f"Its end marker is missing: its {whole} can be read, but anything after that is lost.",)
        elif not lenient:
            raise Unreadable("the file ends early") from error
        elif not _has_pixels(data):
            raise Unreadable("no pixel data is left") from error
    width, height, frames = _screen(data)
    check_size(name, width, height, len(data))
    if frames > 1:
        check_total(name, width * height * frames, len(data))
    raster = pillow.opened(data, name, lenient)
    notes = (*raster.notes, *notes, *left_out(_lost(data, blocks)))
    return replace(raster, metadata=_metadata(data, blocks, raster.metadata), notes=notes).photo()


def _screen(data: bytes) -> tuple[int, int, int]:
    """Width and height that all frames need, and the number of frames; of a file that is cut off, with the last one.

    Decoders enlarge the screen for a frame that lies partly outside.
    """
    width, height, frames = *struct.unpack_from("<2H", data.ljust(10, b"\0"), 6), 0
    padded = data + bytes(300) + b"\0;"
    with suppress(_EndsEarly):
        for block in _blocks(padded):
            if block.kind == IMAGE:
                left, top, across, down = struct.unpack_from("<4H", padded, block.begin + 1)
                width, height, frames = max(width, left + across), max(height, top + down), frames + 1
    return width, height, frames


def _has_pixels(data: bytes) -> bool:
    """Return whether a truncated file has at least the start of an image."""
    return _screen(data)[2] > 0 or b"\x2c" in data[13:]


def _content(data: bytes, block: Block) -> bytes:
    """Return the joined sub-blocks of a block."""
    at, parts = block.start, list[bytes]()
    while data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(parts)


def _application(data: bytes, block: Block) -> bytes:
    return data[block.start + 1 : block.start + 12] if block.label == APPLICATION else b""


def _metadata(data: bytes, blocks: list[Block], metadata: Metadata) -> Metadata:
    """Add XMP, profile and pixel aspect ratio, which Pillow ignores, to the metadata."""
    for block in blocks:
        if _application(data, block) == XMP:
            # The packet is not split into sub-blocks. 258 bytes follow it, which lead sub-block readers to the end.
            packet = data[block.start + 12 : block.end].partition(b"\x01\xff\xfe")[0]
            metadata = replace(metadata, xmp=packet or None)
        elif _application(data, block) == PROFILE:
            metadata = replace(metadata, icc=_content(data, block)[11:] or None)
    comments = [pillow.text_of(_content(data, block)) for block in blocks if block.label == COMMENT]
    if len(comments) > 1:
        metadata = replace(metadata, comment="\n".join(dict.fromkeys(comments)))
    ratio = data[12]
    if ratio not in (0, 49):  # width over height of a pixel is (ratio + 15) / 64
        metadata = replace(metadata, pixel_aspect=(64, ratio + 15))
    return metadata


def _lost(data: bytes, blocks: list[Block]) -> Iterator[str]:
    """Yield names of the file's contents that the result will not have."""
    if any(block.label == PLAIN_TEXT for block in blocks):
        yield "text to be drawn over the image"
    for block in blocks:
        application = _application(data, block)
        if application and application not in KNOWN_APPLICATIONS:
            yield f"the extension {application.decode('ascii', 'replace').strip()!r}"
