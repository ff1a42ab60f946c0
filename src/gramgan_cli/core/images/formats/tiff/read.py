"""Reading TIFF, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.formats.tiff import samples
from gramgan_cli.core.images.formats.tiff import structure as tiff
from gramgan_cli.core.images.limits import check_size, check_total
from gramgan_cli.core.images.metadata.colour import srgb_profile
from gramgan_cli.core.images.metadata.geo import nodata_of
from gramgan_cli.core.images.metadata.ifd import Directory, Layout
from gramgan_cli.core.images.metadata.orientation import upright, upright_size
from gramgan_cli.core.images.photo import Frame, Metadata, Photo, Unsupported, left_out
from gramgan_cli.core.images.samples import EIGHT, FLOAT, SIXTEEN

Array = NDArray[Any]


LEFT_OUT = "Samples that are neither colour nor alpha were left out."


def open_tiff(data: bytes, name: str, lenient: bool) -> Photo:
    """Open a TIFF with all its full-size pages."""
    pages, layout, masks = tiff.read_pages(data)
    for page in pages:
        check_size(name, page.width, page.height, len(data))
    check_total(name, sum(page.width * page.height for page in pages), len(data))
    if lenient:
        tiff.check_something_left(data, pages, layout)
        data = tiff.completed(data, pages, layout)
    else:
        tiff.check_complete(data, pages, layout)
    lost = [part for page in pages for part in tiff.lost_parts(data, page.directory, layout)]
    notes = list(left_out(["the transparency mask"] * (masks > 0) + lost))
    frames = []
    for page in pages:
        width, height = upright_size(page.width, page.height, page.orientation)
        samples.check_known(page)
        channels, dtype = _tiff_kind(data, page, lenient, notes)
        frames.append(Frame(width, height, channels, dtype))
    metadata, *further = (_tiff_metadata(page, layout) for page in pages)

    def decode() -> Iterator[Array]:
        for page, frame in zip(pages, frames, strict=True):
            if samples.is_deep(page):
                yield upright(samples.decode_deep(data, page), page.orientation)
            elif (image := _tiff_page(data, page, lenient)) is None:
                yield upright(samples.decode_as_rgb(data, page)[:, :, : frame.channels], page.orientation)
            else:
                image.load()  # turns the picture upright
                yield np.ascontiguousarray(pillow.array_of(image, frame.channels, _data(page.directory, tiff.ICC)))

    lossless = all(page.compression not in (6, 7) for page in pages)
    warnings = tuple(dict.fromkeys(notes))
    return Photo(name, "tiff", tuple(frames), lossless, decode, metadata, None, warnings, tuple(further))


def _tiff_metadata(page: tiff.Page, layout: Layout) -> Metadata:
    """Return the metadata of one page."""
    directory = page.directory
    nodata = samples.as_read(page, nodata_of(directory))
    return Metadata(
        icc=srgb_profile() if page.photometric in (5, 8) else _data(directory, tiff.ICC),
        exif=tiff.descriptive_exif(directory, layout),
        xmp=_data(directory, tiff.XMP),
        dpi=tiff.resolution(directory, layout),
        pixel_aspect=tiff.pixel_aspect(directory, layout),
        geo=tiff.geo_block(directory, layout, nodata),
        nodata=nodata,
        turned=page.orientation in range(2, 9),
    )


def _data(directory: Directory, tag: int) -> bytes | None:
    return directory[tag].data if tag in directory else None


def _tiff_kind(data: bytes, page: tiff.Page, lenient: bool, notes: list[str]) -> tuple[int, np.dtype[Any]]:
    """Return the channels and sample type of a page; add what reading loses to ``notes``."""
    if not samples.is_deep(page):
        image = _tiff_page(data, page, lenient)
        if image is None:
            channels = samples.channels_as_rgb(page)
            if page.samples > channels and page.photometric != 3:
                notes.append(LEFT_OUT)
            return channels, EIGHT
        if page.photometric in (5, 8):
            notes.append(f"{'CMYK' if page.photometric == 5 else 'Lab'} was converted to sRGB.")
        if page.bits > 8:
            notes.append(f"{page.bits}-bit samples were reduced to 8 bits.")
        channels, dtype = pillow.kind_of(image)
        if page.samples > (4 if page.photometric == 5 else channels):
            notes.append(LEFT_OUT)
        return channels, dtype
    if page.bits > 16 and page.format != 3:
        notes.append(f"{page.bits}-bit samples were reduced to 16 bits.")
    elif page.bits == 64:
        notes.append("64-bit samples were reduced to 32 bits.")
    colours = 3 if page.photometric == 2 else 1
    alpha = page.samples > colours and page.extra[:1] in ((1,), (2,))
    if page.samples > colours + alpha:
        notes.append(LEFT_OUT)
    return colours + alpha, EIGHT if page.bits <= 8 else FLOAT if page.format == 3 else SIXTEEN


def _tiff_page(data: bytes, page: tiff.Page, lenient: bool) -> Image.Image | None:
    """Open one page with Pillow; None if only libtiff can read it. Raises Unsupported if neither can."""
    if page.planar and page.samples == 2 and samples.channels_as_rgb(page):
        return None  # Pillow opens planar grey with alpha, but can't decode it
    try:
        image = pillow.image_of(data, lenient)
        image.seek(page.index)
        image.info.pop("xmp", None)  # Pillow would apply an orientation that is only in XMP; the tag's is used
    except UnidentifiedImageError as error:
        if samples.channels_as_rgb(page):
            return None
        colours = tiff.COLOUR_MODELS.get(page.photometric, f"colour model {page.photometric}")
        raise Unsupported(f"TIFF, {colours}, {page.samples} samples of {page.bits} bits") from error
    return image
