"""Encoding a result from row bands: PNG and TIFF are written as bands arrive, other formats from a full canvas."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.images.alpha import flatten_on_white
from gramgan_cli.core.images.formats.jpeg import COMMENT, PIXEL_ASPECT_AT
from gramgan_cli.core.images.formats.png.chunks import Chunk, pack_profile, pack_xmp
from gramgan_cli.core.images.formats.png.write import PngWriter, Timing
from gramgan_cli.core.images.formats.tiff.write import TiffWriter
from gramgan_cli.core.images.formats.webp import WebpAnimation, whole_milliseconds
from gramgan_cli.core.images.output_format import Target
from gramgan_cli.core.images.photo import Frame
from gramgan_cli.core.images.samples import WHITE

Array = NDArray[Any]
Bands = Iterable[Array]
"""Arrays (rows, width, channels), from top to bottom."""


def encode(target: Target, frames: Iterable[Bands], file: IO[bytes]) -> None:
    """Write the whole file.

    Args:
        target: plan of the file.
        frames: bands of each frame; channels and sample type may still be the source's.
        file: seekable and empty.
    """
    fitted = (_fitted(bands, frame) for bands, frame in zip(frames, target.frames, strict=True))
    {"png": _png, "tiff": _tiff, "webp": _webp}.get(target.format.name, _with_pillow)(target, fitted, file)


def _fitted(bands: Bands, frame: Frame) -> Iterator[Array]:
    """Convert bands to the result's channels and sample type, rounding half up."""
    for band in bands:
        if band.shape[2] > frame.channels:
            band = flatten_on_white(band, WHITE[band.dtype])
        if band.dtype != frame.dtype:
            scale = WHITE[frame.dtype] / WHITE[band.dtype]
            with np.errstate(invalid="ignore", over="ignore"):  # floats may have any value
                value = np.floor(np.nan_to_num(band.astype(np.float64)) * scale + 0.5)
                band = np.clip(value, 0, WHITE[frame.dtype]).astype(frame.dtype)
        yield band


# ---- PNG -----------------------------------------------------------------------------------------------------------


def _png(target: Target, frames: Iterator[Bands], file: IO[bytes]) -> None:
    first, animation = target.frames[0], target.animation
    timing = Timing(animation.durations, animation.plays) if animation else None
    writer = PngWriter(file, first.width, first.height, first.channels, first.dtype, _png_chunks(target), timing)
    for bands in frames:
        writer.write_frame(bands)
    writer.close()


def _png_chunks(target: Target) -> list[Chunk]:
    """Return the ancillary chunks, those about colour first, as the specification requires."""
    metadata = target.metadata
    kept = metadata.png_chunks
    chunks: list[Chunk] = []
    if metadata.software:  # first, so that it is found near the start of the file
        kept = tuple(c for c in kept if c[0] != b"tEXt" or not c[1].startswith(b"Software\0"))
        chunks.append((b"tEXt", b"Software\0" + metadata.software.encode("latin-1", "replace")))
    chunks += [c for c in kept if c[0] in (b"gAMA", b"cHRM", b"sRGB", b"cICP")]
    if metadata.icc:
        chunks.append((b"iCCP", pack_profile(metadata.icc)))
    if metadata.dpi:
        x, y = (round(value / 0.0254) for value in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    elif metadata.pixel_aspect:
        chunks.append((b"pHYs", struct.pack(">IIB", *metadata.pixel_aspect, 0)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", pack_xmp(metadata.xmp)))
    if metadata.comment and not metadata.png_chunks:
        chunks.append((b"iTXt", b"Comment\0\0\0\0\0" + metadata.comment.encode()))
    return chunks + [c for c in kept if c not in chunks]


# ---- TIFF ----------------------------------------------------------------------------------------------------------


def _tiff(target: Target, frames: Iterator[Bands], file: IO[bytes]) -> None:
    pages = (target.metadata, *target.further_pages)
    exif = next((page.exif or page.geo for page in pages if page.exif or page.geo), None)
    writer = TiffWriter(file, sum(frame.byte_count for frame in target.frames), exif)
    for bands, frame, metadata in zip(frames, target.frames, pages, strict=True):
        writer.write_page(bands, frame.width, frame.height, frame.channels, frame.dtype, metadata)


# ---- through Pillow ------------------------------------------------------------------------------------------------


def _canvas(bands: Bands, frame: Frame) -> Image.Image:
    """Return the whole image in Pillow's memory, pasted band by band to avoid a second copy."""
    canvas = Image.new({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[frame.channels], (frame.width, frame.height))
    row = 0
    for band in bands:
        canvas.paste(Image.fromarray(band[:, :, 0] if frame.channels == 1 else band), (0, row))
        row += len(band)
    return canvas


def _with_pillow(target: Target, frames: Iterator[Bands], file: IO[bytes]) -> None:
    """Write JPEG or AVIF through Pillow, without chroma subsampling."""
    metadata = target.metadata
    options: dict[str, Any] = {"quality": target.quality, **_embedded(target)}
    if target.format.name == "jpg":
        options |= {"subsampling": 0, "comment": b""}
        if metadata.dpi:
            options["dpi"] = metadata.dpi
        first = ((COMMENT, metadata.comment.encode()),) if metadata.comment else ()  # before the further ones
        segments = (*first, *metadata.segments)
        options["extra"] = b"".join(struct.pack(">BBH", 255, m, len(body) + 2) + body for m, body in segments)
    else:
        options["subsampling"] = "4:4:4"
    for bands, frame in zip(frames, target.frames, strict=True):
        _canvas(bands, frame).save(file, "JPEG" if target.format.name == "jpg" else "AVIF", **options)
    if metadata.pixel_aspect and target.format.name == "jpg":
        file.seek(PIXEL_ASPECT_AT)
        file.write(struct.pack(">BHH", 0, *metadata.pixel_aspect))
        file.seek(0, io.SEEK_END)


def _embedded(target: Target) -> dict[str, Any]:
    """Return profile, EXIF and XMP as options for Pillow's encoders."""
    metadata = target.metadata
    options: dict[str, Any] = {}
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.exif:
        options["exif"] = (b"Exif\0\0" if target.format.name == "jpg" else b"") + metadata.exif
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    return options


def _webp(target: Target, frames: Iterator[Bands], file: IO[bytes]) -> None:
    options: dict[str, Any] = {"lossless": target.lossless, "quality": 80 if target.lossless else target.quality}
    if target.lossless:
        options["exact"] = True
    if target.animation is None:
        for bands, frame in zip(frames, target.frames, strict=True):
            _canvas(bands, frame).save(file, "WEBP", **options, **_embedded(target))
        return
    metadata, first = target.metadata, target.frames[0]
    writer = WebpAnimation(
        file, first.width, first.height, target.animation.plays, metadata.icc, metadata.exif, metadata.xmp
    )
    durations = whole_milliseconds(target.animation.durations)
    for bands, frame, duration in zip(frames, target.frames, durations, strict=True):
        still = io.BytesIO()
        _canvas(bands, frame).save(still, "WEBP", **options)
        writer.write_frame(still.getvalue(), duration)
    writer.close()
