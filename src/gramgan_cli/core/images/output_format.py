"""Deciding what a result file will be, before the work starts: format, samples, metadata, and what can't be kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.formats.capabilities import FORMATS, Format
from gramgan_cli.core.images.metadata.colour import is_grey_profile, rgb_profile_like
from gramgan_cli.core.images.metadata.exif import DamagedExif, updated_exif, with_resolution, without_orientation
from gramgan_cli.core.images.metadata.xmp import updated_xmp
from gramgan_cli.core.images.photo import Animation, Frame, Metadata, Photo
from gramgan_cli.core.images.samples import EIGHT, FLOAT, SIXTEEN

FormatChoice = Literal["default", "same", "png", "jpg", "webp", "tiff", "avif"]

STANDARD_QUALITY = 95

LARGEST_COMMENT = 65533
"""Bytes of a JPEG comment."""

LARGEST_SEGMENT = 65533 - len(b"Exif\0\0")
"""Bytes of EXIF that fit a JPEG segment."""


@dataclass(frozen=True)
class Target:
    """A result file that is to be written."""

    format: Format
    frames: tuple[Frame, ...]
    """Their final sizes, channels and sample types."""
    metadata: Metadata
    """Already that of the result; of several pages, that of the first."""
    further_pages: tuple[Metadata, ...]
    """That of each page after the first."""
    animation: Animation | None
    quality: int
    """1 to 100, for JPEG, AVIF and lossy WebP."""
    lossless: bool
    """For WebP."""


def choose_format(photo: Photo, choice: FormatChoice) -> Format:
    """The format that ``choice`` means for this photo.

    'default' is PNG for what was stored without loss, and the format itself for JPEG and WebP; floating point and
    several pages, which PNG can't hold, go to TIFF. 'same' keeps the format where it is one that is written.
    """
    if choice not in ("default", "same"):
        return FORMATS[choice]
    if photo.format in ("jpg", "webp") or (choice == "same" and photo.format in FORMATS):
        return FORMATS[photo.format]
    pages = len(photo.frames) > 1 and photo.animation is None
    return FORMATS["tiff" if pages or any(frame.dtype == FLOAT for frame in photo.frames) else "png"]


def plan_target(
    photo: Photo, form: Format, sizes: tuple[tuple[int, int], ...], quality: int | None
) -> tuple[Target, list[str]]:
    """The result file for frames of these (width, height), and one sentence for everything that is not kept.

    Args:
        photo: the source.
        form: from ``choose_format``.
        sizes: of each frame.
        quality: 1 to 100; None is 95, and lossless where WebP is made of what was stored without loss.

    Raises:
        GramganError: the format can't hold so many pixels, frames or pages.
    """
    _check_fits(photo, form, sizes)
    notes: list[str] = []
    frames = tuple(
        _frame_in(frame, width, height, form) for frame, (width, height) in zip(photo.frames, sizes, strict=True)
    )
    before, after = photo.frames[0], frames[0]
    if after.channels < before.channels:
        notes.append(f"Transparency was laid on white: {form.label} has none.")
    if after.dtype != before.dtype:
        notes.append(f"{_depth(before)} samples were reduced to {_depth(after)}: {form.label} holds no more.")
    metadata, *further = (
        _fitting(_updated(metadata, *size, notes), photo, form, notes)
        for metadata, size in zip((photo.metadata, *photo.further_pages), sizes, strict=False)
    )
    lossless = form.name == "webp" and photo.lossless and quality is None
    target = Target(form, frames, metadata, tuple(further), photo.animation, quality or STANDARD_QUALITY, lossless)
    return target, list(dict.fromkeys(notes))


def _check_fits(photo: Photo, form: Format, sizes: tuple[tuple[int, int], ...]) -> None:
    for width, height in sizes:
        if max(width, height) > form.max_side:
            raise GramganError(
                f"The result of {photo.name} would have {width}x{height} pixels; {form.label} holds at most "
                f"{form.max_side} to a side.",
                "Choose another format, for example --format png, or a smaller size.",
            )
    if photo.animation and not form.animated:
        raise GramganError(
            f"{photo.name} is animated, which gramgan does not write as {form.label}.", "Use --format png or webp."
        )
    if len(photo.frames) > 1 and not photo.animation and not form.pages:
        raise GramganError(
            f"{photo.name} has {len(photo.frames)} pages; a {form.label} file holds one.", "Use --format tiff."
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


def _updated(metadata: Metadata, width: int, height: int, notes: list[str]) -> Metadata:
    """Orientation and dimensions as they are in the result."""
    if metadata.xmp:
        metadata = replace(metadata, xmp=updated_xmp(metadata.xmp, width, height))
    if metadata.exif:
        try:
            metadata = replace(metadata, exif=updated_exif(metadata.exif, width, height))
        except DamagedExif:
            metadata = replace(metadata, exif=None)
            notes.append("Its EXIF block is damaged and was left out.")
    return metadata


def _fitting(metadata: Metadata, photo: Photo, form: Format, notes: list[str]) -> Metadata:
    """Without what the format has no place for; each loss is a sentence in ``notes``."""
    lost: list[str] = []
    if form.name != "png":
        kinds = {kind for kind, _ in metadata.png_chunks}
        texts = sum(kind in (b"tEXt", b"zTXt", b"iTXt") for kind, _ in metadata.png_chunks)
        if texts > (form.name == "jpg" and metadata.comment is not None):  # JPEG takes the comment
            lost.append("text chunks")
        if b"gAMA" in kinds and not kinds & {b"sRGB"} and metadata.icc is None:
            lost.append("the gamma value")
        if b"cICP" in kinds and metadata.icc is None:
            lost.append("the description of its colours (CICP), so they will look different")
        metadata = replace(metadata, png_chunks=())
    if form.name not in ("jpg", "png") and metadata.comment:
        if photo.format != "png":
            lost.append("the comment")
        metadata = replace(metadata, comment=None)
    if form.name != "jpg" and metadata.segments:
        markers = {marker for marker, _ in metadata.segments}
        lost += ["the Photoshop and IPTC block"] * (0xED in markers) + ["the extension of its XMP"] * (0xE1 in markers)
        metadata = replace(metadata, segments=())
    if form.name == "jpg" and metadata.comment and len(metadata.comment.encode()) > LARGEST_COMMENT:
        lost.append("the comment (longer than JPEG allows)")
        metadata = replace(metadata, comment=None)
    if form.name in ("webp", "avif"):  # no place for a resolution but EXIF, no grey
        if metadata.dpi:
            metadata = replace(metadata, exif=with_resolution(metadata.exif, metadata.dpi))
        if metadata.icc and is_grey_profile(metadata.icc):
            metadata = replace(metadata, icc=rgb_profile_like(metadata.icc))
    if form.name == "avif" and metadata.exif:  # Pillow writes a block anew, damaging it, to take an orientation out
        metadata = replace(metadata, exif=without_orientation(metadata.exif))
    if form.name == "jpg" and metadata.exif and len(metadata.exif) > LARGEST_SEGMENT:
        lost.append("the EXIF block (larger than JPEG allows)")
        metadata = replace(metadata, exif=None)
    if form.name == "jpg" and metadata.xmp and len(metadata.xmp) > LARGEST_SEGMENT - 23:
        lost.append("the XMP packet (larger than JPEG allows)")
        metadata = replace(metadata, xmp=None)
    if lost:
        notes.append(f"Not kept, because {form.label} has no place for it: {', '.join(lost)}.")
    return metadata
