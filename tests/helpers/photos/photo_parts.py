"""Parts of picture files for several tests: ICC profiles, XMP, EXIF with a thumbnail, animated PNGs."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from photo_corpus import HEIGHT, WIDTH, chunk, scene, with_pillow

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'tiff:Orientation="6" tiff:ImageWidth="34"><dc:title>A title</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
)


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def rgb_profile(name: str, primaries: list[tuple[float, float, float]], gamma: float) -> bytes:
    """A matrix ICC profile (v2): D50 columns of red, green, blue, and a gamma curve."""
    xyz = [b"XYZ \0\0\0\0" + b"".join(map(s15, p)) for p in [(0.9642, 1.0, 0.8249), *primaries]]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = name.encode() + b"\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = dict(zip([b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ"], xyz, strict=True))
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"desc": desc.ljust(-(-len(desc) // 4) * 4, b"\0")}
    tags[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = rgb_profile(
    "Display P3", [(0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)], 2.2
)

ADOBE_RGB = rgb_profile(
    "Adobe RGB", [(0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)], 2.2
)


def with_thumbnail(order: str) -> bytes:
    """EXIF with a maker's note in the middle and a thumbnail at the end."""
    mark = b"II" if order == "<" else b"MM"

    def pack(codes: str, *values: int) -> bytes:
        return struct.pack(order + codes, *values)

    note = b"secret offsets 0123456789"
    exif_at, note_at = 8 + 2 + 2 * 12 + 4, 8 + 2 + 2 * 12 + 4 + 2 + 2 * 12 + 4
    second_at = note_at + len(note) + 1
    thumb_at = second_at + 2 + 2 * 12 + 4
    thumb = with_pillow(scene(3), "JPEG")
    first = (
        pack("H", 2) + pack("HHIHH", 0x0112, 3, 1, 8, 0) + pack("HHII", 0x8769, 4, 1, exif_at) + pack("I", second_at)
    )
    inside = pack("H", 2) + pack("HHII", 0x927C, 7, len(note), note_at) + pack("HHIHH", 0xA002, 3, 1, 34, 0) + bytes(4)
    second = pack("H", 2) + pack("HHII", 0x0201, 4, 1, thumb_at) + pack("HHII", 0x0202, 4, 1, len(thumb)) + bytes(4)
    return mark + pack("HI", 42, 8) + first + inside + note + b"\0" + second + thumb


Drawn = tuple[np.ndarray, int, int, int, int]
"""Pixels, position x and y, disposal and blending of a frame."""


def make_apng(frames: list[Drawn], depth: int, colour: int, times: list[tuple[int, int]], still: bool = False) -> bytes:
    """An animated PNG whose first frame covers it all. ``still`` is a picture that is not part of the animation."""

    def packed(pixels: np.ndarray) -> bytes:
        rows = pixels.astype(">u2" if depth == 16 else np.uint8)
        return zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))

    height, width = frames[0][0].shape[:2]
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    parts.append(chunk(b"acTL", struct.pack(">II", len(frames), 5)))
    if still:
        parts.append(chunk(b"IDAT", packed(np.zeros_like(frames[0][0]))))
    sequence = 0
    for (pixels, x, y, disposal, blending), (above, below) in zip(frames, times, strict=True):
        h, w = pixels.shape[:2]
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, w, h, x, y, above, below, disposal, blending)))
        sequence += 1
        if sequence == 1 and not still:
            parts.append(chunk(b"IDAT", packed(pixels)))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", sequence) + packed(pixels)))
            sequence += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def drawn_frames(channels: int, seed: int) -> list[Drawn]:
    """Frames of random rectangles, opaque or transparent, with every disposal and blending."""
    rng = np.random.default_rng(seed)
    frames: list[Drawn] = [(scene(channels), 0, 0, 0, 0)]
    for disposal in (0, 1, 2):
        for blending in (0, 1):
            h, w = rng.integers(3, HEIGHT - 4), rng.integers(3, WIDTH - 4)
            pixels = rng.integers(0, 256, (h, w, channels), np.uint8)
            if channels in (2, 4):
                pixels[:, :, -1] = np.where(pixels[:, :, -1] > 120, 255, 0)
            x, y = rng.integers(0, WIDTH - w), rng.integers(0, HEIGHT - h)
            frames.append((pixels, int(x), int(y), disposal, blending))
    first = frames[0][0]
    if channels in (2, 4):
        first[:, :, -1] = np.where(first[:, :, -1] > 120, 255, 0)
    return frames
