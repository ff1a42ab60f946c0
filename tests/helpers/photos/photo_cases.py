"""One picture of every kind that gramgan reads, with its expected pixel values."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from photo_corpus import (
    HEIGHT,
    WIDTH,
    chunk,
    make_png,
    oriented_jpeg,
    scene,
    seen_upright,
    with_pillow,
    with_tifffile,
)
from PIL import Image


@dataclass(frozen=True)
class Case:
    """One case: a picture and its expected result."""

    name: str
    file: str
    make: Callable[[], bytes]
    expected: Callable[[], np.ndarray]
    """Expected pixels (H, W, C), in the dtype that must be kept."""
    result: str = ".png"
    """Ending of the result."""
    tolerance: float = 0
    """Largest difference allowed for a lossy format."""
    warned: str | None = None
    """Text that a warning must contain; None means no warning."""


def _grey_bits(depth: int) -> np.ndarray:
    """Samples (H, W, 1) of the given depth."""
    return scene(1, np.uint16) >> (16 - depth)


def _png_grey(depth: int, interlaced: bool) -> Case:
    samples = _grey_bits(depth)
    scaled = samples.astype(np.uint32) * (65535 if depth == 16 else 255) // (2**depth - 1)
    return Case(
        f"png grey {depth} bit{' interlaced' if interlaced else ''}",
        "a.png",
        lambda: make_png(samples, depth, 0, interlaced),
        lambda: scaled.astype(np.uint16 if depth == 16 else np.uint8),
    )


def _png_palette(depth: int, transparent: bool) -> Case:
    entries = 2**depth
    indices = scene(1, np.uint8)[:, :, :1].astype(int) * entries // 256
    colours = np.random.default_rng(depth).integers(0, 256, (entries, 4), np.uint8)
    before = chunk(b"PLTE", colours[:, :3].tobytes())
    if transparent:
        before += chunk(b"tRNS", colours[:, 3].tobytes())

    def expected() -> np.ndarray:
        seen = colours[indices[:, :, 0]]
        return seen if transparent else seen[:, :, :3]

    name = f"png palette {depth} bit{' + transparency' if transparent else ''}"
    return Case(name, "a.png", lambda: make_png(indices, depth, 3, False, before), expected)


def _png_colour(colour: int, channels: int, depth: int, interlaced: bool) -> Case:
    image = scene(channels, np.uint16 if depth == 16 else np.uint8)
    name = f"png {'grey' if channels == 2 else 'rgb'}{'a' if channels in (2, 4) else ''} {depth} bit"
    return Case(
        name + (" interlaced" if interlaced else ""),
        "a.png",
        lambda: make_png(image, depth, colour, interlaced),
        lambda: image,
    )


def _png_key(channels: int, depth: int) -> Case:
    """A PNG with one colour declared transparent."""
    image = scene(channels, np.uint16) >> (16 - depth)
    key = image[7, 11]

    def expected() -> np.ndarray:
        top = 65535 if depth == 16 else 255
        alpha = np.where((image == key).all(axis=2, keepdims=True), 0, top)
        seen = image.astype(np.uint32) * top // (2**depth - 1)
        return np.concatenate((seen, alpha), axis=2).astype(np.uint16 if depth == 16 else np.uint8)

    return Case(
        f"png {'grey' if channels == 1 else 'rgb'} {depth} bit + transparent colour",
        "a.png",
        lambda: make_png(image, depth, 0 if channels == 1 else 2, before=chunk(b"tRNS", key.astype(">u2").tobytes())),
        expected,
    )


def _cmyk() -> np.ndarray:
    return np.concatenate((255 - scene(3), np.full((HEIGHT, WIDTH, 1), 20, np.uint8)), axis=2)


def _cmyk_as_rgb() -> np.ndarray:
    """RGB of CMYK without a profile: R = (255 - C)(255 - K) / 255."""
    ink = _cmyk().astype(int)
    return ((255 - ink[:, :, :3]) * (255 - ink[:, :, 3:]) / 255 + 0.5).astype(np.uint8)


def _ycck_jpeg() -> bytes:
    return imagecodecs.jpeg8_encode(255 - _cmyk(), level=98, colorspace="CMYK", outcolorspace="YCCK", subsampling="444")


def _netpbm(magic: bytes, samples: np.ndarray, top: int) -> bytes:
    stored = samples.astype(">u2" if top > 255 else np.uint8).tobytes()
    return magic + b"\n# a comment\n%d %d\n%d\n" % (samples.shape[1], samples.shape[0], top) + stored


def bmp_with_alpha(image: np.ndarray) -> bytes:
    """A BMP with a BITMAPV4HEADER with masks for B, G, R and A."""
    height, width = image.shape[:2]
    pixels = image[::-1, :, [2, 1, 0, 3]].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(pixels), 2835, 2835, 0, 0) + masks
    head = head.ljust(108, b"\0")
    return struct.pack("<2sIHHI", b"BM", 14 + 108 + len(pixels), 0, 0, 14 + 108) + head + pixels


def _stretched(depth: int, channels: int = 3) -> np.ndarray:
    """The scene at the given depth, scaled to 16 bits."""
    return ((scene(channels, np.uint16) >> (16 - depth)).astype(float) * 65535 / (2**depth - 1) + 0.5).astype(np.uint16)


def _plain_netpbm(magic: bytes, samples: np.ndarray) -> bytes:
    rows = b"\n".join(b" ".join(b"%d" % value for value in row.reshape(-1)) for row in samples)
    return magic + b"\n%d %d # a comment\n65535\n" % (samples.shape[1], samples.shape[0]) + rows + b"\n"


def _avif(depth: int) -> bytes:
    return imagecodecs.avif_encode(scene(3, np.uint16) >> (16 - depth), level=100, bitspersample=depth)


def _premultiplied() -> np.ndarray:
    image = scene(4, np.uint16)
    image[:, :, 3] = np.maximum(image[:, :, 3], 20000)
    colours = image[:, :, :3].astype(np.uint64) * image[:, :, 3:] // 65535
    return np.concatenate((colours.astype(np.uint16), image[:, :, 3:]), axis=2)


def _straight() -> np.ndarray:
    stored = _premultiplied().astype(np.float64)
    colours = np.clip(np.floor(stored[:, :, :3] * 65535 / stored[:, :, 3:] + 0.5), 0, 65535)
    return np.concatenate((colours, stored[:, :, 3:]), axis=2).astype(np.uint16)


def _bilevel() -> Image.Image:
    return Image.fromarray(np.asarray(scene(1)[:, :, 0] > 127))


def _bilevel_seen() -> np.ndarray:
    return np.where(scene(1) > 127, 255, 0).astype(np.uint8)


def _palette_image() -> Image.Image:
    return Image.fromarray(scene(3)).quantize(64)


def _palette_seen() -> np.ndarray:
    return np.asarray(_palette_image().convert("RGB"))


def tiff_oriented(orientation: int, dtype: Any, **options: Any) -> bytes:
    return with_tifffile(scene(3, dtype), extratags=[(274, 3, 1, orientation, True)], **options)


CASES: list[Case] = [
    *(_png_grey(depth, interlaced) for depth in (1, 2, 4, 8, 16) for interlaced in (False, True)),
    *(_png_palette(depth, transparent) for depth in (1, 2, 4, 8) for transparent in (False, True)),
    *(
        _png_colour(colour, channels, depth, interlaced)
        for colour, channels in ((2, 3), (4, 2), (6, 4))
        for depth in (8, 16)
        for interlaced in (False, True)
    ),
    *(_png_key(1, depth) for depth in (1, 2, 4, 8, 16)),
    *(_png_key(3, depth) for depth in (8, 16)),
    Case("jpeg grey", "a.jpg", lambda: with_pillow(scene(1), "JPEG", quality=98), lambda: scene(1), ".jpg", 4),
    Case("jpeg rgb", "a.jpg", lambda: with_pillow(scene(3), "JPEG", quality=98, subsampling=0), scene, ".jpg", 6),
    Case(
        "jpeg progressive",
        "a.jpeg",
        lambda: with_pillow(scene(3), "JPEG", quality=98, subsampling=0, progressive=True),
        scene,
        ".jpeg",
        6,
    ),
    Case(
        "jpeg cmyk",
        "a.jpg",
        lambda: with_pillow(Image.fromarray(_cmyk(), "CMYK"), "JPEG", quality=98),
        _cmyk_as_rgb,
        ".jpg",
        10,
        "CMYK was converted to sRGB",
    ),
    Case("jpeg ycck, inverted", "a.jpg", _ycck_jpeg, _cmyk_as_rgb, ".jpg", 10, "CMYK was converted to sRGB"),
    Case("webp lossy", "a.webp", lambda: with_pillow(scene(3), "WEBP", quality=98), scene, ".webp", 30),
    Case("webp lossless", "a.webp", lambda: with_pillow(scene(3), "WEBP", lossless=True), scene, ".webp"),
    Case(
        "webp lossless alpha",
        "a.webp",
        lambda: with_pillow(scene(4), "WEBP", lossless=True, exact=True),
        lambda: scene(4),
        ".webp",
    ),
    Case("tiff 8 bit", "a.tif", lambda: with_tifffile(scene(3)), scene),
    Case("tiff grey 8 bit", "a.tif", lambda: with_tifffile(scene(1)[:, :, 0]), lambda: scene(1)),
    *(
        Case(
            f"tiff 16 bit {name}",
            "a.tif",
            lambda o=options: with_tifffile(scene(3, np.uint16), **o),
            lambda: scene(3, np.uint16),
        )
        for name, options in (
            ("plain", {}),
            ("big-endian", {"byteorder": ">"}),
            ("bigtiff", {"bigtiff": True}),
            ("tiled", {"tile": (16, 16)}),
            ("deflate", {"compression": "zlib", "predictor": 2}),
            ("lzw", {"compression": "lzw"}),
            ("zstd", {"compression": "zstd"}),
            ("big-endian tiled lzw", {"byteorder": ">", "tile": (16, 32), "compression": "lzw", "predictor": 2}),
        )
    ),
    Case(
        "tiff 16 bit planes apart",
        "a.tif",
        lambda: with_tifffile(np.moveaxis(scene(3, np.uint16), 2, 0), photometric="rgb", planarconfig="separate"),
        lambda: scene(3, np.uint16),
    ),
    Case("tiff grey 16 bit", "a.tif", lambda: with_tifffile(scene(1, np.uint16)[:, :, 0]), lambda: scene(1, np.uint16)),
    Case(
        "tiff grey 16 bit, white is zero",
        "a.tif",
        lambda: with_tifffile(65535 - scene(1, np.uint16)[:, :, 0], photometric="miniswhite"),
        lambda: scene(1, np.uint16),
    ),
    Case(
        "tiff 16 bit + alpha",
        "a.tif",
        lambda: with_tifffile(scene(4, np.uint16), extrasamples=["unassalpha"]),
        lambda: scene(4, np.uint16),
    ),
    Case(
        "tiff 16 bit + premultiplied alpha",
        "a.tif",
        lambda: with_tifffile(_premultiplied(), extrasamples=["assocalpha"]),
        _straight,
        tolerance=1,
    ),
    Case(
        "tiff 8 bit + alpha",
        "a.tif",
        lambda: with_tifffile(scene(4), extrasamples=["unassalpha"]),
        lambda: scene(4),
    ),
    Case(
        "tiff float",
        "a.tif",
        lambda: with_tifffile(scene(3, np.float32)),
        lambda: scene(3, np.float32),
        ".tif",
    ),
    Case(
        "tiff float grey",
        "a.tiff",
        lambda: with_tifffile(scene(1, np.float32)[:, :, 0]),
        lambda: scene(1, np.float32),
        ".tiff",
    ),
    Case(
        "tiff 32 bit",
        "a.tif",
        lambda: with_tifffile(scene(1, np.uint16)[:, :, 0].astype(np.uint32) * 65537),
        lambda: scene(1, np.uint16),
        warned="reduced to 16 bits",
    ),
    *(
        Case(
            f"tiff {depth} bit",
            "a.tif",
            lambda d=depth: with_tifffile(scene(3, np.uint16) >> (16 - d), bitspersample=d),
            lambda d=depth: _stretched(d),
        )
        for depth in (10, 12, 14)
    ),
    Case("tiff webp", "a.tif", lambda: with_tifffile(scene(3), compression="webp"), scene, tolerance=30),
    Case(
        "tiff cmyk 16 bit",
        "a.tif",
        lambda: with_tifffile(_cmyk().astype(np.uint16) * 257, photometric="separated"),
        _cmyk_as_rgb,
        tolerance=1,
        warned="16-bit samples were reduced to 8 bits",
    ),
    Case(
        "tiff cmyk",
        "a.tif",
        lambda: with_pillow(Image.fromarray(_cmyk(), "CMYK"), "TIFF"),
        _cmyk_as_rgb,
        tolerance=1,
        warned="CMYK was converted to sRGB",
    ),
    Case("tiff bilevel fax", "a.tif", lambda: with_pillow(_bilevel(), "TIFF", compression="group4"), _bilevel_seen),
    Case("tiff palette", "a.tif", lambda: with_pillow(_palette_image(), "TIFF"), _palette_seen),
    *(
        Case(
            f"tiff {np.dtype(dtype).itemsize * 8} bit orientation {orientation}",
            "a.tif",
            lambda o=orientation, d=dtype: tiff_oriented(o, d),
            lambda o=orientation, d=dtype: seen_upright(scene(3, d), o),
        )
        for dtype in (np.uint8, np.uint16)
        for orientation in range(1, 9)
    ),
    *(
        Case(
            f"tiff 8 bit lzw orientation {orientation}",
            "a.tif",
            lambda o=orientation: tiff_oriented(o, np.uint8, compression="lzw"),
            lambda o=orientation: seen_upright(scene(3), o),
        )
        for orientation in (3, 6)
    ),
    Case("gif", "a.gif", lambda: with_pillow(_palette_image(), "GIF"), _palette_seen),
    Case("bmp 24 bit", "a.bmp", lambda: with_pillow(scene(3), "BMP"), scene),
    Case("bmp 32 bit", "a.bmp", lambda: with_pillow(scene(4), "BMP"), lambda: scene(3)),  # the fourth byte is padding
    Case("bmp 32 bit + alpha mask", "a.bmp", lambda: bmp_with_alpha(scene(4)), lambda: scene(4)),
    Case("bmp palette", "a.bmp", lambda: with_pillow(_palette_image(), "BMP"), _palette_seen),
    Case("bmp bilevel", "a.bmp", lambda: with_pillow(_bilevel(), "BMP"), _bilevel_seen),
    Case("ppm", "a.ppm", lambda: _netpbm(b"P6", scene(3), 255), scene),
    Case("pgm", "a.pgm", lambda: _netpbm(b"P5", scene(1), 255), lambda: scene(1)),
    Case("pbm", "a.pbm", lambda: with_pillow(_bilevel(), "PPM"), _bilevel_seen),
    Case("ppm 16 bit", "a.ppm", lambda: _netpbm(b"P6", scene(3, np.uint16), 65535), lambda: scene(3, np.uint16)),
    Case("ppm 16 bit, plain", "a.ppm", lambda: _plain_netpbm(b"P3", scene(3, np.uint16)), lambda: scene(3, np.uint16)),
    Case("pgm 16 bit, plain", "a.pgm", lambda: _plain_netpbm(b"P2", scene(1, np.uint16)), lambda: scene(1, np.uint16)),
    Case(
        "pgm 12 bit",
        "a.pgm",
        lambda: _netpbm(b"P5", scene(1, np.uint16) >> 4, 4095),
        lambda: _stretched(12, 1),
    ),
    Case("avif", "a.avif", lambda: with_pillow(scene(3), "AVIF", quality=95, subsampling="4:4:4"), scene, tolerance=8),
    *(
        Case(f"avif {depth} bit", "a.avif", lambda d=depth: _avif(d), lambda d=depth: _stretched(d))
        for depth in (10, 12)
    ),
    *(
        Case(
            f"jpeg orientation {orientation}",
            "a.jpg",
            lambda o=orientation: oriented_jpeg(o),
            lambda o=orientation: seen_upright(scene(3), o),
            ".jpg",
            6,
        )
        for orientation in range(1, 9)
    ),
]
"""All cases."""
