"""Reading JPEG, and what its segments say of the picture (ITU-T T.81)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from PIL import Image

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.photo import Photo, Unsupported

EXIF_SEGMENT, PHOTOSHOP_SEGMENT = 0xE1, 0xED
"""Markers APP1 and APP13."""
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
"""What a segment begins with that holds more XMP than the first one could (XMP specification, part 3, 1.1.3.1)."""


def open_jpeg(data: bytes, name: str, lenient: bool) -> Photo:
    """The main picture of a JPEG or MPO file."""
    if (bits := _jpeg_bits(data)) != 8:
        raise Unsupported(f"JPEG, samples of {bits} bits")
    raster = pillow.opened(data, name, lenient)
    metadata = replace(raster.metadata, segments=tuple(_kept_segments(getattr(raster.image, "applist", []))))
    notes = (*raster.notes, *other_pictures(raster.image))
    return replace(raster, metadata=metadata, notes=notes, lossless=False).still()


def _jpeg_bits(data: bytes) -> int:
    """Bits per sample by the frame header; 8 where there is none to be found (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4]
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 8


def _kept_segments(found: Sequence[tuple[str, bytes]]) -> Iterator[tuple[int, bytes]]:
    for tag, body in found:
        if tag == "APP13":
            yield PHOTOSHOP_SEGMENT, bytes(body)
        elif tag == "APP1" and body.startswith(EXTENDED_XMP):
            yield EXIF_SEGMENT, bytes(body)


def other_pictures(image: Image.Image) -> list[str]:
    """A sentence where a photo file holds more than the photo: depth maps, HDR gain maps, other shots."""
    others = getattr(image, "n_frames", 1) - 1
    return [f"Of {others + 1} pictures inside the file, only the main one was enlarged."] if others > 0 else []
