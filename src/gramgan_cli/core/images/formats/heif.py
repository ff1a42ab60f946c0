"""Reading AVIF and HEIC and their boxes (ISO/IEC 14496-12, 4.2; ISO/IEC 23008-12, 6.5; AV1-ISOBMFF)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.formats.jpeg import other_pictures
from gramgan_cli.core.images.limits import check_total
from gramgan_cli.core.images.metadata.boxes import item_types, walk
from gramgan_cli.core.images.metadata.orientation import upright, upright_size
from gramgan_cli.core.images.photo import Frame, Metadata, Photo, Unreadable, left_out
from gramgan_cli.core.images.samples import SIXTEEN, stretched, with_axis

Array = NDArray[Any]

SRGB_PRIMARIES = (1, 2)
SRGB_TRANSFERS = (1, 2, 6, 13, 14, 15)
"""CICP codes (ITU-T H.273) that viewers show as sRGB: those of BT.709 and similar, and 'unspecified'."""


def open_avif(data: bytes, name: str, lenient: bool) -> Photo:
    """Open a still or animated AVIF of 8, 10 or 12 bits; animations are reduced to 8."""
    if not lenient and not boxes_end(data):
        raise Unreadable("the file ends early")
    raster = pillow.opened(data, name, lenient)
    frames = getattr(raster.image, "n_frames", 1)
    notes = (*raster.notes, *left_out(_lost(data, still=frames == 1)))
    raster = replace(raster, metadata=_with_cicp(data, raster.metadata), lossless=False, notes=notes)
    bits = sample_bits(data)
    if frames > 1:
        check_total(name, raster.image.width * raster.image.height * frames, len(data))
        if bits > 8:
            raster = replace(raster, notes=(*raster.notes, f"{bits}-bit samples were reduced to 8 bits."))
        return raster.animated()
    return raster.still() if bits == 8 else _deep(raster, lambda: stretched(imagecodecs.avif_decode(data), 2**bits - 1))


def open_heic(data: bytes, name: str, lenient: bool) -> Photo:
    """Open the main image of an HEIC file of 8, 10 or 12 bits."""
    cut_off = is_cut_off(data)
    try:
        raster = pillow.opened(data, name, lenient)
    except UnidentifiedImageError as error:
        raise Unreadable("the file ends early" if cut_off else "its header is invalid") from error
    notes = (*raster.notes, *other_pictures(raster.image), *left_out(_lost(data, still=True)))
    notes += ("It is cut off after its main image: anything that followed is lost.",) * cut_off
    # The decoder applies the rotation itself.
    turned = {b"irot", b"imir"} & _properties(data).keys() != set()
    metadata = replace(_with_cicp(data, raster.metadata), turned=turned)
    raster = replace(raster, metadata=metadata, orientation=1, notes=notes, lossless=False)
    bits = int(raster.image.info.get("bit_depth", 8))
    photo = raster.still() if bits == 8 else _deep(raster, lambda: _deep_heic(data, bits))
    return replace(photo, decode=lambda: _ending_early(photo)) if cut_off else photo


def _ending_early(photo: Photo) -> Iterator[Array]:
    """Decode a truncated file; if the pixels are affected, replace libheif's error, which is meant for developers."""
    try:
        yield from photo.decode()
    except Exception as error:  # libheif's errors, through Pillow or not
        raise Unreadable("the file ends early") from error


AUXILIARY = (
    (b"hdrgainmap", "the gain map (HDR)"),
    (b"tag:apple.com,2023:photo:aux:hdr", "the gain map (HDR)"),
    (b"disparity", "the depth map"),
    (b"depth", "the depth map"),
    (b"hevc:2015:auxid:2", "the depth map"),
    (b"matte", "the segmentation mattes"),
)
"""Parts of the type names of auxiliary images (ISO/IEC 23008-12, 6.6.2.1; Apple's own), with their description."""

C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""User type of the box with a C2PA manifest (C2PA 2.1, A.4)."""


def _lost(data: bytes, still: bool) -> Iterator[str]:
    """Yield names of the file's contents that the result will not have."""
    if b"tmap" in item_types(data):
        yield "the gain map (HDR)"
    names = [content[4:].split(b"\0")[0].lower() for content in _all_properties(data, b"auxC")]
    for part, named in AUXILIARY:
        if any(part in name for name in names):
            yield named
    for kind, body, stop in walk(data, 0, len(data)):
        if kind == b"uuid" and data[body : body + 16] == C2PA:
            yield "the C2PA manifest (content credentials)"
        elif kind == b"mpvd":
            yield "the video (motion photo)"
        elif kind == b"moov":
            handlers = re.findall(rb"hdlr.{8}(\w{4})", data[body:stop], re.DOTALL)
            transparency = re.findall(rb"auxi.{4}[^\0]*:alpha\0", data[body:stop], re.DOTALL)
            if b"soun" in handlers:
                yield "the sound"
            if handlers.count(b"auxv") > len(transparency) and not still:
                yield "its auxiliary tracks (such as depth)"
            if still and {b"vide", b"pict"} & set(handlers):
                yield "the video or image sequence"


def _deep(raster: pillow.Raster, samples: Callable[[], Array]) -> Photo:
    """Return the image with 16-bit samples, which Pillow would reduce to 8."""
    channels, _ = pillow.kind_of(raster.image)

    def decode() -> Iterator[Array]:
        yield upright(with_axis(samples())[:, :, :channels], raster.orientation)

    width, height = upright_size(raster.image.width, raster.image.height, raster.orientation)
    return replace(raster.still(), frames=(Frame(width, height, channels, SIXTEEN),), decode=decode)


def _deep_heic(data: bytes, bits: int) -> Array:
    import pillow_heif

    stored = np.asarray(pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)) >> (16 - bits)
    return stretched(stored, 2**bits - 1)


def _with_cicp(data: bytes, metadata: Metadata) -> Metadata:
    """Add the file's CICP colour codes as a PNG cICP chunk (primaries, transfer, matrix, range)."""
    codes = None if metadata.icc else unusual_colours(data)
    if codes is None or max(codes) > 255:
        return metadata
    chunk = (b"cICP", bytes([*codes, 0, 1]))
    return replace(metadata, png_chunks=(*metadata.png_chunks, chunk))


def boxes_end(data: bytes) -> bool:
    """Return whether the file contains all its boxes completely."""
    last = max((stop for _, _, stop in walk(data, 0, len(data))), default=0)
    return 0 < last <= len(data) < last + 8


def is_cut_off(data: bytes) -> bool:
    """Return whether a box exceeds the file."""
    return any(stop > len(data) for _, _, stop in walk(data, 0, len(data)))


def _each_property(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each item property; colr includes its colour type."""
    path = {b"meta": 4, b"iprp": 0, b"ipco": 0}

    def descend(at: int, end: int, inside: bytes) -> Iterator[tuple[bytes, bytes]]:
        for kind, body, stop in walk(data, at, min(end, len(data))):
            if inside == b"ipco":
                yield kind + data[body : body + 4] if kind == b"colr" else kind, data[body:stop]
            elif kind in path:
                yield from descend(body + path[kind], stop, kind)

    yield from descend(0, len(data), b"")


def _all_properties(data: bytes, kind: bytes) -> list[bytes]:
    return [content for name, content in _each_property(data) if name == kind]


def _properties(data: bytes) -> dict[bytes, bytes]:
    """Return the first property of each type: colr, av1C, pixi and so on."""
    found: dict[bytes, bytes] = {}
    for kind, content in _each_property(data):
        found.setdefault(kind, content)
    return found


def sample_bits(data: bytes) -> int:
    """Return the bits per sample of an AVIF image: 8, 10 or 12."""
    configuration = _properties(data).get(b"av1C", b"").ljust(4, b"\0")
    high, twelve = configuration[2] & 0x40, configuration[2] & 0x20
    return 12 if high and twelve else 10 if high else 8


def unusual_colours(data: bytes) -> tuple[int, int] | None:
    """Return CICP primaries and transfer function of an image without ICC profile; None for those of sRGB."""
    properties = _properties(data)
    colour = properties.get(b"colrnclx", b"")
    if b"colrprof" in properties or b"colrrICC" in properties or len(colour) < 10:
        return None
    primaries, transfer = (int.from_bytes(colour[at : at + 2], "big") for at in (4, 6))
    return None if primaries in SRGB_PRIMARIES and transfer in SRGB_TRANSFERS else (primaries, transfer)
