"""Opening picture files: what they are is found out and checked before a pixel is decoded."""

from __future__ import annotations

import importlib
import io
import logging
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageSequence, UnidentifiedImageError

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.formats import apng, jxl, netpbm, png, tiff, webp
from gramgan_cli.core.images.formats import heif as boxes
from gramgan_cli.core.images.metadata.colour import srgb_profile, to_srgb
from gramgan_cli.core.images.metadata.exif import DamagedExif, exif_orientation
from gramgan_cli.core.images.metadata.ifd import Directory, Layout
from gramgan_cli.core.images.metadata.orientation import upright, upright_size
from gramgan_cli.core.images.photo import Animation, Frame, Metadata, Photo, Unsupported, plausible_dpi

Array = NDArray[Any]
T = TypeVar("T")

LARGEST_PIXELS = 500_000_000
"""A picture that claims more pixels is refused."""
UNQUESTIONED_PIXELS = 25_000_000
"""Up to here the size of the file does not matter."""
PIXELS_PER_BYTE = 1500
"""Beyond, a file must have a byte for so many pixels: real photographs need one for ten."""
FORMATS = {
    "PNG": "png",
    "JPEG": "jpg",
    "MPO": "jpg",
    "WEBP": "webp",
    "TIFF": "tiff",
    "GIF": "gif",
    "BMP": "bmp",
    "DIB": "bmp",
    "PPM": "ppm",
    "AVIF": "avif",
    "HEIF": "heic",
    "JXL": "jxl",
}
"""Pillow's names of what is read, and ours."""

KEPT_PNG_CHUNKS = frozenset((b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tIME"))
"""Chunks that stay true of a larger picture, whatever its colour type (pHYs, eXIf, iCCP are handled apart)."""

IMAGE_PNG_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
"""Chunks that make the (still) picture itself."""

IF_REAL = "If it is real, cut it into parts, or save it as an uncompressed TIFF."

LEFT_OUT = "Samples that are neither colour nor alpha were left out."

EXIF_SEGMENT, PHOTOSHOP_SEGMENT = 0xE1, 0xED
"""JPEG's markers APP1 and APP13."""
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
"""What a segment begins with that holds more XMP than the first one could (XMP specification, part 3, 1.1.3.1)."""

EIGHT, SIXTEEN, FLOAT = np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)

# Pillow's own limit lies below what a 100-megapixel camera makes; _check_size stands in for it.
Image.MAX_IMAGE_PIXELS = LARGEST_PIXELS
# What Pillow finds odd in a file reaches the person as an error or as a warning of ours, or does not matter.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


Opener = Callable[[bytes, str, bool], Photo]
"""Takes a file's bytes, its name, and whether to read what can be read of damaged ones."""


class Unreadable(Exception):
    """Why a file can't be read, without its name."""


def register_optional_readers() -> None:
    """HEIC and JPEG XL, where the extras [heic] and [jxl] are installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with suppress(ImportError):
        importlib.import_module("pillow_jxl")  # registers itself


def open_photo(data: bytes, name: str, allow_truncated: bool = False) -> Photo:
    """The picture in ``data``, which messages call ``name``.

    Args:
        data: the whole file.
        name: the path, or 'standard input'.
        allow_truncated: read what is there of a file that is cut off or damaged, and warn.

    Raises:
        GramganError: it is no picture of a known format, is damaged, or claims an absurd size.
    """
    if not data:
        raise GramganError(f"{name} is empty (zero bytes).", "Copy it again from where it came.")
    open_it = _opener(data)
    if open_it is None:
        raise GramganError(
            f"{name} is not a picture that gramgan reads.",
            "It reads PNG, JPEG, WebP, TIFF, GIF, BMP, PPM and AVIF" + _extras_hint(data),
        )
    if not allow_truncated:
        return _opened(open_it, data, name, lenient=False)
    try:
        photo = _opened(open_it, data, name, lenient=False)
        deque(photo.decode(), maxlen=0)
    except GramganError:
        photo = _opened(open_it, data, name, lenient=True)
        return replace(photo, warnings=(*photo.warnings, "It is damaged or cut off: what can be read of it was used."))
    return photo


def _opened(open_it: Opener, data: bytes, name: str, lenient: bool) -> Photo:
    guarded = _Guarded(name, lenient)
    photo = guarded.run(lambda: open_it(data, name, lenient))
    return replace(photo, decode=lambda: guarded.iterate(photo))


def _extras_hint(data: bytes) -> str:
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return '; for HEIC: pip install "gramgan-cli[heic]".'
    if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL ":
        return '; for JPEG XL: pip install "gramgan-cli[jxl]".'
    return "."


@dataclass(frozen=True)
class _Guarded:
    """Runs decoders, which raise whatever comes to them on damaged files, and says one sentence instead."""

    name: str
    lenient: bool

    def run(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except GramganError:
            raise
        except Exception as error:
            raise self._explained(error) from error

    def iterate(self, photo: Photo) -> Iterator[Array]:
        """Each frame, which must be what the header announced."""
        arrays = photo.decode()
        for frame in photo.frames:
            yield self.run(lambda frame=frame: _as_announced(next(arrays, None), frame))  # type: ignore[misc]

    def _explained(self, error: Exception) -> GramganError:
        if isinstance(error, MemoryError):
            return GramganError(f"{self.name} does not fit into memory.", "Close other programs, or make it smaller.")
        if isinstance(error, Image.DecompressionBombError):
            return _too_large(self.name)
        if isinstance(error, Unsupported):
            return GramganError(
                f"{self.name} is not of a kind that gramgan reads: {error}.", "Convert it to PNG first."
            )
        if isinstance(error, UnidentifiedImageError):
            error = Unreadable("its header makes no sense")
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        hint = None if self.lenient else "With --allow-truncated, what can be read of it is used."
        return GramganError(f"{self.name} is damaged or cut off ({reason[:160]}).", hint)


def _as_announced(array: Array | None, frame: Frame) -> Array:
    if array is None or array.shape != (frame.height, frame.width, frame.channels) or array.dtype != frame.dtype:
        raise Unreadable("its pixels are not what its header announces")
    return array


def _too_large(name: str) -> GramganError:
    return GramganError(
        f"{name} claims to have more than {LARGEST_PIXELS // 10**6} megapixels, so it is refused.",
        "If it is real, cut it into parts.",
    )


def _check_size(name: str, width: int, height: int, byte_count: int) -> None:
    """Refuse what would fill the memory: no photograph is so large, or so small for its size."""
    pixels = width * height
    if pixels > LARGEST_PIXELS:
        raise _too_large(name)
    if pixels > UNQUESTIONED_PIXELS and pixels > PIXELS_PER_BYTE * byte_count:
        raise GramganError(f"{name} claims {width}x{height} pixels in {byte_count} bytes, so it is refused.", IF_REAL)


_PILLOW_BEGINNINGS = re.compile(rb"\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM|P[1-6]\s|....ftypavi[fs]", re.DOTALL)
"""First bytes of what Pillow reads, for files of which it knows no more than these."""


def _opener(data: bytes) -> Opener | None:
    """How a file is opened, by its first bytes; None: no known format."""
    if data.startswith(png.SIGNATURE):
        return _open_png
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _open_tiff
    if (header := netpbm.read_header(data)) and header.top > 255:
        return _open_deep_netpbm
    register_optional_readers()
    try:
        if data.startswith((jxl.CODESTREAM, jxl.CONTAINER)):
            return _open_jxl if "JXL" in Image.OPEN else None
        with Image.open(io.BytesIO(data), formats=_pillow_formats()):
            return _open_other
    except UnidentifiedImageError:
        return _open_other if _PILLOW_BEGINNINGS.match(data) else None
    except Exception:  # a known format, but damaged: opening it again says how
        return _open_other


def _pillow_formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


# ---- through Pillow: eight bits per sample -------------------------------------------------------------------------


def _pillow(data: bytes, lenient: bool) -> Image.Image:
    # The one switch that Pillow has for this is global; a run of gramgan sets it one way.
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    return Image.open(io.BytesIO(data), formats=_pillow_formats())


def _kind(image: Image.Image) -> tuple[int, np.dtype[Any]]:
    """Channels and sample type that the image will have as an array."""
    if image.mode in ("1", "L", "LA", "La"):
        return (2 if image.has_transparency_data else 1), EIGHT
    if image.mode.startswith("I"):
        return 1, SIXTEEN
    if image.mode == "F":
        return 1, FLOAT
    return (4 if image.has_transparency_data else 3), EIGHT


def _array(image: Image.Image, channels: int, icc: bytes | None) -> Array:
    """The image's pixels, (H, W, channels)."""
    if image.mode.startswith("I"):
        deep: Array = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)[:, :, None]
        return deep
    if image.mode == "F":
        return np.asarray(image)[:, :, None]
    if image.mode in ("CMYK", "LAB"):
        image = to_srgb(image, icc)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    if image.mode == "1" and mode == "LA":
        image = image.convert("RGBA")
    array = np.asarray(image if image.mode == mode else image.convert(mode))
    return array if array.ndim == 3 else array[:, :, None]


def _metadata_of(image: Image.Image) -> Metadata:
    info = image.info
    exif = info.get("exif")
    if isinstance(exif, bytes):
        exif = exif.removeprefix(b"Exif\0\0") or None
    xmp = info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    icc = info.get("icc_profile") or None
    if image.mode in ("CMYK", "LAB"):
        icc = srgb_profile()
    comment = info.get("comment")
    if isinstance(comment, bytes):
        comment = _text(comment)
    return Metadata(icc=icc, exif=exif, xmp=xmp or None, dpi=_dpi(info.get("dpi")), comment=comment or None)


def _text(written: bytes) -> str:
    """A comment's text, whose encoding no format states: UTF-8, or else Latin-1, which any bytes are."""
    try:
        return written.decode("utf-8")
    except UnicodeDecodeError:
        return written.decode("latin-1")


def _dpi(value: Any) -> tuple[float, float] | None:
    """Pillow's resolution, where it is two numbers."""
    return plausible_dpi(float(value[0]), float(value[1])) if isinstance(value, tuple) and len(value) == 2 else None


def _orientation(metadata: Metadata) -> tuple[int, Metadata, tuple[str, ...]]:
    """The orientation; an EXIF block that can't be followed is left out with a warning."""
    if metadata.exif is None:
        return 1, metadata, ()
    try:
        return exif_orientation(metadata.exif), metadata, ()
    except DamagedExif:
        return 1, replace(metadata, exif=None), ("Its EXIF block is damaged and was left out.",)


def _open_other(data: bytes, name: str, lenient: bool) -> Photo:
    """JPEG, WebP, GIF, BMP, PPM, AVIF, HEIC."""
    if data.startswith(b"\xff\xd8") and (bits := _jpeg_bits(data)) != 8:
        raise Unsupported(f"JPEG, samples of {bits} bits")
    if lenient and data[8:12] == b"WEBP":
        data = webp.completed(data)
    image = _pillow(data, lenient)
    _check_size(name, image.width, image.height, len(data))
    kind = FORMATS[image.format or ""]
    if not lenient:
        _check_ends(kind, data)
    metadata, notes = _metadata_of(image), list[str]()
    if image.mode in ("CMYK", "LAB"):
        notes.append(f"{image.mode} was converted to sRGB.")
    source_icc = image.info.get("icc_profile")
    if kind == "jpg":
        metadata = replace(metadata, segments=tuple(_kept_segments(getattr(image, "applist", []))))
    orientation, metadata, more = _orientation(metadata)
    if kind == "heic":  # its reader turns the picture itself
        orientation = 1
    notes += [*more, *_other_pictures(image, kind)]
    metadata = _with_cicp(data, kind, metadata)
    lossless = kind in ("gif", "bmp", "ppm") or (kind == "webp" and webp.is_lossless(data))
    bits = _sample_bits(data, image, kind)
    if kind not in ("jpg", "heic") and getattr(image, "n_frames", 1) > 1:
        if bits > 8:
            notes.append(f"{bits}-bit samples were reduced to 8 bits.")
        return _animated(image, name, kind, lossless, metadata, orientation, tuple(notes), lenient)
    channels, dtype = _kind(image)
    if bits > 8:
        dtype = SIXTEEN
    width, height = upright_size(image.width, image.height, orientation)

    def decode() -> Iterator[Array]:
        if bits > 8:
            yield upright(_deep_heif(data, kind, bits, channels), orientation)
        else:
            yield upright(_array(_pillow(data, lenient), channels, source_icc), orientation)

    return Photo(
        name, kind, (Frame(width, height, channels, dtype),), lossless, decode, metadata, warnings=tuple(notes)
    )


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


def _other_pictures(image: Image.Image, kind: str) -> list[str]:
    """A sentence where a photo file holds more than the photo: depth maps, HDR gain maps, other shots."""
    others = getattr(image, "n_frames", 1) - 1
    if kind not in ("jpg", "heic") or others < 1:
        return []
    return [f"Of {others + 1} pictures inside the file, only the main one was enlarged."]


def _with_cicp(data: bytes, kind: str, metadata: Metadata) -> Metadata:
    """What AVIF and HEIC say of their colours by numbers, as PNG's cICP chunk (primaries, transfer, matrix, range)."""
    codes = boxes.unusual_colours(data) if kind in ("avif", "heic") and not metadata.icc else None
    if codes is None or max(codes) > 255:
        return metadata
    chunk = (b"cICP", bytes([*codes, 0, 1]))
    return replace(metadata, png_chunks=(*metadata.png_chunks, chunk))


def _sample_bits(data: bytes, image: Image.Image, kind: str) -> int:
    """Bits per sample of AVIF and HEIC; 8 for what Pillow reads in full."""
    if kind == "avif":
        return boxes.sample_bits(data)
    return int(image.info.get("bit_depth", 8)) if kind == "heic" else 8


def _deep_heif(data: bytes, kind: str, bits: int, channels: int) -> Array:
    """The samples of 10 or 12 bits that Pillow would reduce to 8, stretched to 16: (H, W, channels)."""
    if kind == "avif":
        stored = imagecodecs.avif_decode(data)
    else:
        import pillow_heif

        stored = np.asarray(pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)) >> (16 - bits)
    top = 2**bits - 1
    array: Array = ((stored.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
    return array[:, :, :channels] if array.ndim == 3 else array[:, :, None]


def _open_jxl(data: bytes, name: str, lenient: bool) -> Photo:
    """JPEG XL: Pillow's plug-in knows the profile, imagecodecs all bits and the orientation."""
    header = jxl.read_header(data)
    _check_size(name, header.width, header.height, len(data))
    if header.animated:
        raise GramganError(
            f"{name} is an animated JPEG XL, which gramgan does not read.", "Convert it to APNG first, with djxl."
        )
    try:
        metadata = _metadata_of(_pillow(data, lenient))
    except Exception as error:  # the plug-in raises errors of its own, whose texts are for its builders
        raise Unreadable("its codestream is damaged") from error
    exif, xmp = jxl.exif_and_xmp(data)
    _, metadata, notes = _orientation(replace(metadata, exif=exif or metadata.exif, xmp=xmp or metadata.xmp))
    stored = imagecodecs.jpegxl_decode(data)
    array = stored.astype(np.float32) if stored.dtype == np.float16 else stored
    array = array if array.ndim == 3 else array[:, :, None]
    height, width, channels = array.shape

    def decode() -> Iterator[Array]:
        yield array

    return Photo(name, "jxl", (Frame(width, height, channels, array.dtype),), False, decode, metadata, warnings=notes)


def _animated(
    image: Image.Image,
    name: str,
    kind: str,
    lossless: bool,
    metadata: Metadata,
    orientation: int,
    notes: tuple[str, ...],
    lenient: bool,
) -> Photo:
    """An animation: each frame as it is seen, composed of those before it.

    Where ``lenient``, the frames are kept: decoding them later, when another picture is being opened, would meet
    Pillow's global switch set for that one.
    """
    durations, transparent, kept = [], False, list[Array]()
    for frame in ImageSequence.Iterator(image):
        picture = frame.convert("RGBA")
        transparent = transparent or np.asarray(picture.getchannel("A")).min() < 255
        if lenient:
            kept.append(np.asarray(picture))
        durations.append(float(frame.info.get("duration", 100)))
    loop = image.info.get("loop")
    if kind == "gif":  # absent: once; n: n times more
        plays = 1 if loop is None else (loop + 1 if loop else 0)
    else:
        plays = int(loop or 0)
    channels = 4 if transparent else 3

    def decode() -> Iterator[Array]:
        frames = iter(kept) if lenient else (np.asarray(f.convert("RGBA")) for f in ImageSequence.Iterator(image))
        for frame in frames:
            yield upright(frame[:, :, :channels], orientation)

    width, height = upright_size(image.width, image.height, orientation)
    frames = (Frame(width, height, channels, EIGHT),) * len(durations)
    timing = Animation(tuple(durations), plays)
    return Photo(name, kind, frames, lossless, decode, metadata, timing, notes)


def _check_ends(kind: str, data: bytes) -> None:
    """Raise for the formats whose decoders pass over a missing end in silence."""
    if kind == "gif" and not _gif_ends(data):
        raise Unreadable("the file ends early")
    if kind == "webp" and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise Unreadable("the file ends early")
    if kind == "avif" and not boxes.boxes_end(data):
        raise Unreadable("the file ends early")


def _gif_ends(data: bytes) -> bool:
    """Whether the blocks of a GIF lead to its trailer (GIF89a specification)."""
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    try:
        while data[at] != 0x3B:
            if data[at] == 0x21:
                at += 2
            elif data[at] == 0x2C:
                at += 11 + (3 * 2 ** ((data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0)
            else:
                return False
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        return False
    return True


# ---- PNG -----------------------------------------------------------------------------------------------------------


def _open_png(data: bytes, name: str, lenient: bool) -> Photo:
    chunks = png.read_chunks(data, whole=not lenient)
    header = png.header_of(chunks)
    chunks = [_scaled_key(chunk, header) for chunk in chunks]
    _check_size(name, header.width, header.height, len(data))
    notes: list[str] = []
    if lenient:
        image_data = png.repaired(chunks)
    elif header.raw_size() > png.INFLATION * len(data):
        claim = f"{header.width}x{header.height} pixels in {len(data)} bytes"
        raise GramganError(f"{name} claims {claim}, so it is refused.", IF_REAL)
    else:
        # Text and profiles may unpack to gigabytes, at which decoders balk: they get what makes the picture.
        image_data = png.rebuilt(chunk for chunk in chunks if chunk[0] in IMAGE_PNG_CHUNKS)
    metadata, more = _png_metadata(chunks)
    orientation, metadata, damaged = _orientation(metadata)
    notes += [*more, *damaged]
    width, height = upright_size(header.width, header.height, orientation)
    parts = [] if lenient else apng.read_parts(chunks, header)
    if len(parts) > 1:
        return _animated_png(chunks, header, parts, name, metadata, orientation, notes)
    if header.depth == 16:
        key = next((content for kind, content in chunks if kind == b"tRNS"), None)
        channels = png.SAMPLES[header.colour] + (key is not None and header.colour in (0, 2))

        def decode_deep() -> Iterator[Array]:
            yield upright(_deep_png(image_data, header, key), orientation)

        frame = Frame(width, height, channels, SIXTEEN)
        return Photo(name, "png", (frame,), True, decode_deep, metadata, warnings=tuple(notes))
    channels, dtype = _kind(_pillow(image_data, False))

    def decode() -> Iterator[Array]:
        yield upright(_array(_pillow(image_data, False), channels, None), orientation)

    return Photo(name, "png", (Frame(width, height, channels, dtype),), True, decode, metadata, warnings=tuple(notes))


def _scaled_key(chunk: png.Chunk, header: png.Header) -> png.Chunk:
    """The transparent grey of 2 or 4 bits as Pillow compares it: with samples stretched to 8 bits."""
    kind, content = chunk
    if kind != b"tRNS" or header.colour != 0 or header.depth not in (2, 4):
        return chunk
    stretched = int.from_bytes(content[:2], "big") * 255 // (2**header.depth - 1)
    return kind, stretched.to_bytes(4, "big")[-2:]


def _animated_png(
    chunks: Sequence[png.Chunk],
    header: png.Header,
    parts: Sequence[apng.Part],
    name: str,
    metadata: Metadata,
    orientation: int,
    notes: list[str],
) -> Photo:
    palette = [chunk for chunk in chunks if chunk[0] in (b"PLTE", b"tRNS")]
    key = next((content for kind, content in palette if kind == b"tRNS"), None)
    deep = header.depth == 16

    def pixels(part: apng.Part) -> Array:
        file = part.file(palette)
        if deep:
            return _deep_png(file, part.header, key)
        image = _pillow(file, False)
        return _array(image, _kind(image)[0], None)

    white = 65535 if deep else 255
    opaque = all(frame[:, :, -1].min() == white for frame in apng.composed(header, parts, pixels, white))
    channels = (1 if header.colour in (0, 4) else 3) + (not opaque)

    def decode() -> Iterator[Array]:
        for frame in apng.composed(header, parts, pixels, white):
            yield upright(frame[:, :, :channels], orientation)

    kinds = [kind for kind, _ in chunks]
    if kinds.index(b"IDAT") < kinds.index(b"fcTL"):
        notes.append("The still picture for programs that show no animation was left out.")
    width, height = upright_size(header.width, header.height, orientation)
    frames = (Frame(width, height, channels, SIXTEEN if deep else EIGHT),) * len(parts)
    timing = Animation(tuple(part.milliseconds for part in parts), apng.plays(chunks))
    return Photo(name, "png", frames, True, decode, metadata, timing, tuple(notes))


def _deep_png(data: bytes, header: png.Header, key: bytes | None) -> Array:
    """16-bit samples, (H, W, C); a transparent colour (tRNS) becomes an alpha channel."""
    essential = [chunk for chunk in png.read_chunks(data) if chunk[0] in (b"IHDR", b"IDAT", b"IEND")]
    # Without tRNS: the decoder swaps the bytes of pictures that have it. Pass by pass: it grumbles at interlaced ones.
    array = np.empty((header.height, header.width, png.SAMPLES[header.colour]), np.uint16)
    if header.interlaced:
        for (first_x, first_y, step_x, step_y), part in png.interlacing_passes(essential):
            place = array[first_y::step_y, first_x::step_x]
            place[...] = imagecodecs.png_decode(part).reshape(place.shape)
    else:
        array[...] = imagecodecs.png_decode(png.rebuilt(essential)).reshape(array.shape)
    if key is None or header.colour not in (0, 2):
        return array
    colour = np.frombuffer(key[: 2 * array.shape[2]], ">u2")
    alpha = np.where((array == colour).all(axis=2, keepdims=True), 0, 65535).astype(np.uint16)
    return np.concatenate((array, alpha), axis=2)


def _png_metadata(chunks: Sequence[png.Chunk]) -> tuple[Metadata, list[str]]:
    first: dict[bytes, bytes] = {}
    for kind, content in chunks:
        first.setdefault(kind, content)
    notes = []
    icc = png.unpack_profile(first[b"iCCP"]) if b"iCCP" in first else None
    if b"iCCP" in first and icc is None:
        notes.append("Its ICC profile is damaged and was left out.")
    xmp, passed = None, []
    for kind, content in chunks:
        if kind == b"iTXt" and (packet := png.unpack_xmp(content)) is not None:
            xmp = packet
        elif kind in KEPT_PNG_CHUNKS or (kind == b"pHYs" and _png_resolution(content) is None):
            passed.append((kind, content))
    comment = next((c[8:].decode("latin-1") for k, c in passed if k == b"tEXt" and c.startswith(b"Comment\0")), None)
    return Metadata(
        icc=icc,
        exif=first.get(b"eXIf"),
        xmp=xmp,
        dpi=_png_resolution(first.get(b"pHYs", b"")),
        comment=comment,
        png_chunks=tuple(passed),
    ), notes


def _png_resolution(content: bytes) -> tuple[float, float] | None:
    """pHYs with the metre as its unit, in pixels per inch."""
    if len(content) != 9 or content[8] != 1:
        return None
    return plausible_dpi(*(int.from_bytes(content[at : at + 4], "big") * 0.0254 for at in (0, 4)))


# ---- TIFF ----------------------------------------------------------------------------------------------------------


def _open_tiff(data: bytes, name: str, lenient: bool) -> Photo:
    pages, layout = tiff.read_pages(data)
    for page in pages:
        _check_size(name, page.width, page.height, len(data))
    if lenient:
        data = tiff.completed(data, pages, layout)
    else:
        tiff.check_complete(data, pages, layout)
    notes: list[str] = []
    frames = []
    for page in pages:
        width, height = upright_size(page.width, page.height, page.orientation)
        channels, dtype = _tiff_kind(data, page, lenient, notes)
        frames.append(Frame(width, height, channels, dtype))
    metadata, *further = (_tiff_metadata(page, layout) for page in pages)

    def decode() -> Iterator[Array]:
        for page, frame in zip(pages, frames, strict=True):
            if tiff.is_deep(page):
                yield upright(tiff.decode_deep(data, page), page.orientation)
            else:
                image = _tiff_page(data, page, lenient)
                image.load()  # turns the picture upright
                yield np.ascontiguousarray(_array(image, frame.channels, _data(page.directory, tiff.ICC)))

    lossless = all(page.compression not in (6, 7) for page in pages)
    warnings = tuple(dict.fromkeys(notes))
    return Photo(name, "tiff", tuple(frames), lossless, decode, metadata, None, warnings, tuple(further))


def _tiff_metadata(page: tiff.Page, layout: Layout) -> Metadata:
    """What surrounds the pixels of one page."""
    directory = page.directory
    return Metadata(
        icc=srgb_profile() if page.photometric in (5, 8) else _data(directory, tiff.ICC),
        exif=tiff.descriptive_exif(directory, layout),
        xmp=_data(directory, tiff.XMP),
        dpi=tiff.resolution(directory, layout),
    )


def _data(directory: Directory, tag: int) -> bytes | None:
    return directory[tag].data if tag in directory else None


def _tiff_kind(data: bytes, page: tiff.Page, lenient: bool, notes: list[str]) -> tuple[int, np.dtype[Any]]:
    """Channels and sample type of a page; what reading it loses is added to ``notes``."""
    if not tiff.is_deep(page):
        image = _tiff_page(data, page, lenient)
        if page.photometric in (5, 8):
            notes.append(f"{'CMYK' if page.photometric == 5 else 'Lab'} was converted to sRGB.")
        if page.bits > 8:
            notes.append(f"{page.bits}-bit samples were reduced to 8 bits.")
        channels, dtype = _kind(image)
        if page.samples > (4 if page.photometric == 5 else channels):
            notes.append(LEFT_OUT)
        return channels, dtype
    if page.bits == 32 and page.format == 1:
        notes.append("32-bit samples were reduced to 16 bits.")
    elif page.bits == 64:
        notes.append("64-bit samples were reduced to 32 bits.")
    colours = 3 if page.photometric == 2 else 1
    alpha = page.samples > colours and page.extra[:1] in ((1,), (2,))
    if page.samples > colours + alpha:
        notes.append(LEFT_OUT)
    return colours + alpha, EIGHT if page.bits == 8 else FLOAT if page.format == 3 else SIXTEEN


def _tiff_page(data: bytes, page: tiff.Page, lenient: bool) -> Image.Image:
    """One page through Pillow; Unsupported where Pillow has no such kind."""
    try:
        image = _pillow(data, lenient)
        image.seek(page.index)
    except UnidentifiedImageError as error:
        colours = tiff.COLOUR_MODELS.get(page.photometric, f"colour model {page.photometric}")
        raise Unsupported(f"TIFF, {colours}, {page.samples} samples of {page.bits} bits") from error
    return image


# ---- PPM and PGM with 16 bits --------------------------------------------------------------------------------------


def _open_deep_netpbm(data: bytes, name: str, lenient: bool) -> Photo:
    header = netpbm.read_header(data)
    if header is None or not header.width or not header.height or header.top > 65535:
        raise Unreadable("its header makes no sense")
    _check_size(name, header.width, header.height, len(data))
    if (
        not header.plain
        and not lenient
        and len(data) - header.start < 2 * header.width * header.height * header.channels
    ):
        raise Unreadable("the file ends early")

    def decode() -> Iterator[Array]:
        yield netpbm.decode(data, header, lenient)

    return Photo(name, "ppm", (Frame(header.width, header.height, header.channels, SIXTEEN),), True, decode)
