"""Planning a result file before the work starts: format, samples, metadata, and warnings about losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.capabilities import FORMATS, Format
from gramgan_cli.core.images.metadata.description import is_imagej, is_ome, updated_description
from gramgan_cli.core.images.metadata.exif import DamagedExif, exif_orientation, updated_exif
from gramgan_cli.core.images.metadata.fitting import TEXT_CHUNKS, fitting
from gramgan_cli.core.images.metadata.geo import scaled_geo
from gramgan_cli.core.images.metadata.ifd import DamagedTiff
from gramgan_cli.core.images.metadata.png_texts import DamagedText, updated_text
from gramgan_cli.core.images.metadata.xmp import updated_xmp
from gramgan_cli.core.images.photo import Animation, Frame, Metadata, Photo
from gramgan_cli.core.images.samples import EIGHT, FLOAT, SIXTEEN

FormatChoice = Literal["default", "same", "png", "jpg", "webp", "tiff", "avif"]

STANDARD_QUALITY = 95


@dataclass(frozen=True)
class Target:
    """A result file to be written."""

    format: Format
    frames: tuple[Frame, ...]
    """Final sizes, channels and sample types."""
    metadata: Metadata
    """Metadata of the result; with several pages, of the first page."""
    further_pages: tuple[Metadata, ...]
    """Metadata of each further page."""
    animation: Animation | None
    quality: int
    """1 to 100, for JPEG, AVIF and lossy WebP."""
    lossless: bool
    """For WebP."""


def choose_format(photo: Photo, choice: FormatChoice) -> Format:
    """Return the output format for a photo.

    'default' is JPEG or WebP for photos in these formats, and PNG for all others. Floating point, several pages,
    georeferenced images and OME-XML go to TIFF, because PNG can't hold them. 'same' keeps the format if it can be
    written.
    """
    if choice not in ("default", "same"):
        return FORMATS[choice]
    if photo.format in ("jpg", "webp") or (choice == "same" and photo.format in FORMATS):
        return FORMATS[photo.format]
    pages = len(photo.frames) > 1 and photo.animation is None
    floats = any(frame.dtype == FLOAT for frame in photo.frames)
    exif = photo.metadata.exif
    measured = photo.metadata.geo is not None or is_ome(exif) or is_imagej(exif)
    return FORMATS["tiff" if pages or floats or measured else "png"]


def plan_target(
    photo: Photo, form: Format, sizes: tuple[tuple[int, int], ...], quality: int | None
) -> tuple[Target, list[str]]:
    """Plan the result file for frames of these sizes; also return one sentence for everything that is lost.

    Args:
        photo: the source.
        form: from ``choose_format``.
        sizes: (width, height) of each frame.
        quality: 1 to 100. None is 95, or lossless for WebP from a losslessly stored source.

    Raises:
        GramganError: the format does not support the size or number of frames or pages.
    """
    _check_fits(photo, form, sizes)
    notes: list[str] = []
    frames = tuple(
        _frame_in(frame, width, height, form) for frame, (width, height) in zip(photo.frames, sizes, strict=True)
    )
    first, made = photo.frames[0], frames[0]
    if made.channels < first.channels:
        notes.append(f"Transparency was replaced by white: {form.label} does not support it.")
    if made.dtype != first.dtype:
        notes.append(f"{_depth(first)} samples were reduced to {_depth(made)}: {form.label} can't store more.")
    metadata, *further = (
        fitting(_updated(metadata, before, after, notes), photo.format, form, after.channels, notes)
        for metadata, before, after in zip((photo.metadata, *photo.further_pages), photo.frames, frames, strict=False)
    )
    lossless = form.name == "webp" and photo.lossless and quality is None
    target = Target(
        form,
        frames,
        metadata,
        tuple(further),
        photo.animation if form.animated else None,
        quality or STANDARD_QUALITY,
        lossless,
    )
    return target, list(dict.fromkeys(notes))


def _check_fits(photo: Photo, form: Format, sizes: tuple[tuple[int, int], ...]) -> None:
    for width, height in sizes:
        if max(width, height) > form.max_side:
            raise GramganError(
                f"The result of {photo.name} would have {width}x{height} pixels; {form.label} allows at most "
                f"{form.max_side} per side.",
                "Choose another format, for example `format` png, or a smaller size.",
            )
    if photo.animation and len(photo.frames) > 1 and not form.animated:
        raise GramganError(
            f"{photo.name} is animated, and gramgan does not write animations as {form.label}.",
            "Use `format` png or webp.",
        )
    if len(photo.frames) > 1 and not photo.animation and not form.pages:
        raise GramganError(
            f"{photo.name} has {len(photo.frames)} pages; a {form.label} file has only one.", "Use `format` tiff."
        )


def _frame_in(frame: Frame, width: int, height: int, form: Format) -> Frame:
    channels = frame.channels if form.alpha or frame.channels in (1, 3) else frame.channels - 1
    dtype = frame.dtype
    if dtype == FLOAT and not form.floats:
        dtype = SIXTEEN
    if dtype == SIXTEEN and not form.sixteen_bit:
        dtype = EIGHT
    return Frame(width, height, channels, dtype)


def _depth(frame: Frame) -> str:
    return "Floating point" if frame.dtype == FLOAT else f"{8 * frame.dtype.itemsize}-bit"


def _updated(metadata: Metadata, before: Frame, after: Frame, notes: list[str]) -> Metadata:
    """Return the metadata with the result's orientation and dimensions."""
    width, height = after.width, after.height
    scale = (width / before.width, height / before.height)
    if metadata.xmp:
        metadata = replace(
            metadata, xmp=updated_xmp(metadata.xmp, width, height, scale, metadata.turned, _stored(metadata))
        )
    if is_imagej(metadata.exif):  # pixels per unit of length, which are updated there; not a print resolution
        metadata = replace(metadata, dpi=None, pixel_aspect=None)
    if metadata.exif:
        try:
            exif = updated_description(metadata.exif, (before.width, before.height), (width, height))
            metadata = replace(metadata, exif=updated_exif(exif, width, height, scale))
        except DamagedExif:
            metadata = replace(metadata, exif=None)
            notes.append("Its EXIF block is damaged and was left out.")
    if metadata.png_chunks:
        metadata = replace(
            metadata, png_chunks=_updated_chunks(metadata.png_chunks, (width, height), scale, metadata.turned, notes)
        )
    if metadata.geo and metadata.turned:
        metadata = replace(metadata, geo=None)
        notes.append("It was rotated upright, so its georeference (GeoTIFF) was left out.")
    if metadata.geo:
        try:
            metadata = replace(metadata, geo=scaled_geo(metadata.geo, scale))
        except DamagedTiff:
            metadata = replace(metadata, geo=None)
            notes.append("Its georeference (GeoTIFF) is damaged and was left out.")
    return metadata


def _updated_chunks(
    chunks: Sequence[tuple[bytes, bytes]],
    size: tuple[int, int],
    scale: tuple[float, float],
    turned: bool,
    notes: list[str],
) -> tuple[tuple[bytes, bytes], ...]:
    """Return a PNG's chunks with the sizes in their texts updated."""
    kept = []
    for kind, content in chunks:
        try:
            kept.append((kind, updated_text(kind, content, size, scale, turned) if kind in TEXT_CHUNKS else content))
        except DamagedText:
            notes.append(f"Its text '{content.partition(bytes(1))[0].decode('latin-1')}' is damaged and was left out.")
    return tuple(kept)


def _stored(metadata: Metadata) -> int | None:
    """Return the orientation of the stored pixels; None if they were rotated for a reason that EXIF does not state."""
    if not metadata.turned:
        return 1
    try:
        orientation = exif_orientation(metadata.exif) if metadata.exif else 1
    except DamagedExif:
        return None
    return orientation if orientation != 1 else None
