"""Reading JPEG and its segments (ITU-T T.81; JFIF 1.02)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.photo import VIDEO, Photo, Unreadable, Unsupported, left_out

COMMENT, EXIF_SEGMENT, PHOTOSHOP_SEGMENT = 0xFE, 0xE1, 0xED
"""Markers COM, APP1 and APP13."""
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
"""Prefix of segments with extended XMP (XMP specification, part 3, 1.1.3.1)."""

PIXEL_ASPECT_AT = 13
"""Offset of JFIF's unit and densities in files that Pillow writes."""

METADATA = (b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", EXTENDED_XMP)
"""Prefixes of APP1 segments whose content is kept."""

SCAN = 0xDA
"""Marker SOS, which precedes coded pixels."""

END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
"""A marker within coded data that is neither a stuffed byte nor a restart."""


@dataclass(frozen=True)
class Structure:
    """Structure of a JPEG file."""

    segments: tuple[tuple[int, bytes], ...]
    """Marker and content of each segment, in order, up to the end of the main image."""
    end: int | None
    """Offset after the main image's last marker; None if that marker is missing."""
    coded: bool
    """Whether any coded pixels are present."""


def structure_of(data: bytes) -> Structure:
    """Parse the segments of a JPEG's main image."""
    segments, at, coded = list[tuple[int, bytes]](), 2, False
    while match := _MARKER.search(data, at):
        marker, body = data[match.start() + 1], match.end()
        if marker == END[1]:
            return Structure(tuple(segments), body, coded)
        length = int.from_bytes(data[body : body + 2], "big")
        segments.append((marker, data[body + 2 : body + length]))
        at = body + max(length, 2)
        coded = coded or (marker == SCAN and len(data) > at and data[at : at + 2] != END)
    return Structure(tuple(segments), None, coded)


def open_jpeg(data: bytes, name: str, lenient: bool) -> Photo:
    """Open the main image of a JPEG or MPO file."""
    structure, notes = structure_of(data), list[str]()
    if (bits := _sample_bits(structure.segments)) != 8:
        raise Unsupported(f"JPEG with {bits}-bit samples")
    if lenient and not structure.coded:
        raise Unreadable("no pixel data is left")
    if structure.end is None and not lenient and (completed := _with_end(data)):
        data, notes = completed, ["Its end marker is missing, but the image is complete."]
    raster = pillow.opened(data, name, lenient)
    kept = tuple(_kept_segments(structure.segments))
    metadata = replace(raster.metadata, segments=kept, pixel_aspect=_pixel_aspect(structure.segments))
    comments = [body for marker, body in structure.segments if marker == COMMENT]
    if comments:
        metadata = replace(metadata, comment=pillow.text_of(comments[0]) or None)
    notes += [*raster.notes, *other_pictures(raster.image), *left_out(_lost(structure, data, raster))]
    return replace(raster, data=data, metadata=metadata, notes=tuple(notes), lossless=False).still()


def _sample_bits(segments: Sequence[tuple[int, bytes]]) -> int:
    """Return the bits per sample in the frame header; 8 if there is none (ITU-T T.81, B.2.2)."""
    frames = (body for marker, body in segments if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC))
    return next((body[0] for body in frames if body), 8)


def _with_end(data: bytes) -> bytes | None:
    """Return the file with its end marker appended if nothing else is missing, else None.

    Decoders fill in missing data silently. To detect this, the file is also decoded with other bits appended: if the
    image is complete, both results are equal.
    """
    whole, other = data.rstrip(b"\xff") + END, data.rstrip(b"\xff") + b"\x5a\xa5" * 2048 + END
    try:
        first, second = (np.asarray(pillow.image_of(file, False)) for file in (whole, other))
    except OSError:
        return None
    return whole if np.array_equal(first, second) else None


def _kept_segments(segments: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield the segments that are copied unchanged from JPEG to JPEG. The first comment is handled separately."""
    comments = 0
    for marker, body in segments:
        comments += marker == COMMENT
        further_comment = marker == COMMENT and comments > 1
        if marker == PHOTOSHOP_SEGMENT or further_comment or (marker == EXIF_SEGMENT and body.startswith(EXTENDED_XMP)):
            yield marker, body


def _pixel_aspect(segments: Sequence[tuple[int, bytes]]) -> tuple[int, int] | None:
    """Return JFIF's densities without a unit if they differ (JFIF 1.02: they are then the pixel aspect ratio)."""
    for marker, body in segments:
        if marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            unit, x, y = struct.unpack_from(">BHH", body, 7)
            return (x, y) if unit == 0 and x != y and x and y else None
    return None


def _lost(structure: Structure, data: bytes, raster: pillow.Raster) -> Iterator[str]:
    """Yield names of the file's contents that the result will not have."""
    segments, xmp = structure.segments, raster.metadata.xmp or b""
    if any(marker == 0xEB and body.startswith(b"JP") for marker, body in segments):
        yield "the C2PA manifest (content credentials)" if b"c2pa" in data else "the JUMBF block (APP11)"
    elif any(marker == 0xEB for marker, _ in segments):
        yield "the APP11 block"
    if any(marker == 0xE2 and body.startswith(b"FPXR\0") for marker, body in segments):
        yield "the FlashPix block"
    if any(marker == 0xE2 and body.startswith(b"urn:iso:std:iso:ts:21496") for marker, body in segments) or re.search(
        rb"hdr-gain-map/1\.0|HDRGainMap/1\.0", xmp
    ):
        yield "the gain map (HDR)"
    known = {0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE}
    blocks = [(marker, body) for marker, body in segments if 0xE0 <= marker <= 0xEF]
    other = {marker for marker, body in blocks if marker not in known and not body.startswith(b"Ducky")}
    other |= {0xE1 for marker, body in blocks if marker == 0xE1 and not body.startswith(METADATA)}
    if sum(body.startswith(METADATA[1]) for marker, body in blocks if marker == EXIF_SEGMENT) > 1:
        yield "the second XMP packet"
    unknown = [f"APP{marker - 0xE0}" for marker in sorted(other)]
    if unknown:
        yield f"the block{'s' * (len(unknown) > 1)} {', '.join(unknown)}"
    yield from _behind(data[structure.end :] if structure.end else b"", raster)


def _behind(rest: bytes, raster: pillow.Raster) -> Iterator[str]:
    """Yield names of the contents after the main image."""
    if not rest.strip(b"\0\xff\n\r "):
        return
    video = VIDEO.search(rest)
    if video:
        yield "the video (motion photo)"
    if b"GDepth" in rest or b"Depth" in (raster.metadata.xmp or b""):
        yield "the depth map"
    several = getattr(raster.image, "n_frames", 1) > 1
    if not several and (pictures := len(re.findall(rb"\xff\xd8\xff[\xe0-\xef\xdb]", rest))):
        yield f"{pictures} more image{'s' * (pictures > 1)} after its end"
    elif not several and not video:
        yield f"{len(rest)} bytes after its end"


def other_pictures(image: Image.Image) -> list[str]:
    """Return a note if the file has more images than the main one, such as depth maps, gain maps or other shots."""
    others = getattr(image, "n_frames", 1) - 1
    return [f"The file contains {others + 1} images: only the main one was enlarged."] if others > 0 else []
