"""Reducing metadata to what an output format supports, with notes about losses."""

from __future__ import annotations

from dataclasses import replace

from gramgan_cli.core.images.capabilities import Format
from gramgan_cli.core.images.metadata.colour import (
    fits_channels,
    grey_profile_like,
    is_grey_profile,
    is_profile,
    rgb_profile_like,
)
from gramgan_cli.core.images.metadata.exif import with_resolution, without_orientation
from gramgan_cli.core.images.metadata.geo import has_position
from gramgan_cli.core.images.metadata.xmp import IN_EXTENSION, without_manifest, without_properties
from gramgan_cli.core.images.photo import Metadata

LARGEST_SEGMENT = 65533
"""Maximum content of a JPEG segment in bytes."""

LARGEST_EXIF = LARGEST_SEGMENT - len(b"Exif\0\0")
"""Maximum size in bytes of an EXIF block in a JPEG segment."""

COMMENT, EXTENSION, PHOTOSHOP = 0xFE, 0xE1, 0xED
"""Markers of the JPEG segments that are kept."""

TEXT_CHUNKS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
COLOUR_CHUNKS = frozenset((b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"))
KNOWN_CHUNKS = TEXT_CHUNKS | COLOUR_CHUNKS | {b"tIME", b"pHYs"}


def fitting(metadata: Metadata, source: str, form: Format, channels: int, notes: list[str]) -> Metadata:
    """Return the metadata that the format supports; each loss adds a sentence to ``notes``.

    Args:
        metadata: metadata, already updated to the result.
        source: the source's format, as ``Photo.format``.
        form: the result's format.
        channels: channels of the result.
        notes: list to append to.
    """
    lost: list[str] = []
    metadata = _png_only(metadata, form, lost)
    metadata = _comments(metadata, source, form, lost)
    metadata = _jpeg_only(metadata, form, lost)
    metadata = _tiff_only(metadata, form, lost)
    metadata = _profile(metadata, form, channels, notes)
    metadata = _resolution(metadata, form, lost)
    if form.name == "avif" and metadata.exif:  # to remove the orientation, Pillow would rewrite and damage the block
        metadata = replace(metadata, exif=without_orientation(metadata.exif))
    if form.name == "jpg":
        metadata = _within_segments(metadata, lost)
    if metadata.xmp:
        metadata = replace(metadata, xmp=without_manifest(metadata.xmp))
    if lost:
        notes.append(f"Left out, because {form.label} can't store it: {', '.join(lost)}.")
    return metadata


def _png_only(metadata: Metadata, form: Format, lost: list[str]) -> Metadata:
    if form.name == "png":
        return metadata
    kinds = {kind for kind, _ in metadata.png_chunks}
    texts = sum(kind in TEXT_CHUNKS for kind, _ in metadata.png_chunks)
    if texts > (form.name == "jpg" and metadata.comment is not None):  # JPEG takes the comment
        lost.append("text chunks")
    if b"gAMA" in kinds and not kinds & {b"sRGB"} and metadata.icc is None:
        lost.append("the gamma value")
    if b"cICP" in kinds and metadata.icc is None:
        lost.append("the colour description (CICP), so its colours will look different")
    private = sorted(kind.decode("latin-1") for kind in kinds - KNOWN_CHUNKS)
    if private:
        lost.append(f"the chunk{'s' * (len(private) > 1)} {', '.join(private)}")
    return replace(metadata, png_chunks=())


def _comments(metadata: Metadata, source: str, form: Format, lost: list[str]) -> Metadata:
    if form.name not in ("jpg", "png") and metadata.comment:
        if source != "png":
            lost.append("the comment")
        return replace(metadata, comment=None)
    return metadata


def _jpeg_only(metadata: Metadata, form: Format, lost: list[str]) -> Metadata:
    if form.name == "jpg":
        return metadata
    markers = {marker for marker, _ in metadata.segments}
    lost += ["the Photoshop and IPTC block"] * (PHOTOSHOP in markers)
    lost += ["the other comments"] * (COMMENT in markers)
    lost += ["the extended XMP"] * (EXTENSION in markers)
    if metadata.xmp and EXTENSION not in markers:
        return replace(metadata, segments=())
    xmp = without_properties(metadata.xmp, IN_EXTENSION) if metadata.xmp else None
    return replace(metadata, segments=(), xmp=xmp)


def _tiff_only(metadata: Metadata, form: Format, lost: list[str]) -> Metadata:
    if form.name == "tiff" or not metadata.geo:
        return metadata
    lost.append("the georeference (GeoTIFF)" if has_position(metadata.geo) else "GDAL's tags")
    return replace(metadata, geo=None)


def _profile(metadata: Metadata, form: Format, channels: int, notes: list[str]) -> Metadata:
    """Return the metadata with a profile that fits the image's channels; PNG decoders reject any other."""
    icc = metadata.icc
    if icc is None:
        return metadata
    channels = max(channels, 3) if form.name in ("webp", "avif") else channels  # these formats have no grey
    if not is_profile(icc) and form.name not in ("jpg", "tiff"):
        notes.append("Its ICC profile is damaged and was left out.")
        return replace(metadata, icc=None)
    if fits_channels(icc, channels) or form.name in ("jpg", "tiff"):
        return metadata
    made = rgb_profile_like(icc) if channels > 2 else grey_profile_like(icc)
    if channels < 3 or not is_grey_profile(icc) or made is None:
        described = "grey" if channels < 3 else "RGB"
        became = f"was replaced by one for {described}" if made else "was left out"
        notes.append(f"Its ICC profile is not for {described}, and the image is {described}: it {became}.")
    elif form.name == "png":
        notes.append("Its ICC profile is for grey, and the image is RGB: it was replaced by one for RGB.")
    return replace(metadata, icc=made)


def _resolution(metadata: Metadata, form: Format, lost: list[str]) -> Metadata:
    if form.name not in ("webp", "avif"):
        return metadata
    if metadata.pixel_aspect:
        lost.append("the aspect ratio of its pixels, which are not square")
    if metadata.dpi:  # can be stored in EXIF only
        metadata = replace(metadata, exif=with_resolution(metadata.exif, metadata.dpi))
    return replace(metadata, pixel_aspect=None)


def _within_segments(metadata: Metadata, lost: list[str]) -> Metadata:
    """Remove metadata that exceeds the size of a JPEG segment."""
    if metadata.comment and len(metadata.comment.encode()) > LARGEST_SEGMENT:
        lost.append("the comment (longer than JPEG allows)")
        metadata = replace(metadata, comment=None)
    if metadata.exif and len(metadata.exif) > LARGEST_EXIF:
        lost.append("the EXIF block (larger than JPEG allows)")
        metadata = replace(metadata, exif=None)
    if metadata.xmp and len(metadata.xmp) > LARGEST_EXIF - 23:
        lost.append("the XMP packet (larger than JPEG allows)")
        metadata = replace(metadata, xmp=None)
    return metadata
