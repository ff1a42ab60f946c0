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
from gramgan_cli.core.images.limits import check_size
from gramgan_cli.core.images.metadata.colour import srgb_profile
from gramgan_cli.core.images.metadata.ifd import Directory, Layout
from gramgan_cli.core.images.metadata.orientation import upright, upright_size
from gramgan_cli.core.images.photo import Frame, Metadata, Photo, Unsupported
from gramgan_cli.core.images.samples import EIGHT, FLOAT, SIXTEEN

Array = NDArray[Any]


LEFT_OUT = "Samples that are neither colour nor alpha were left out."


def open_tiff(data: bytes, name: str, lenient: bool) -> Photo:
    """Every full-size page of a TIFF."""
    pages, layout = tiff.read_pages(data)
    for page in pages:
        check_size(name, page.width, page.height, len(data))
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
            if samples.is_deep(page):
                yield upright(samples.decode_deep(data, page), page.orientation)
            else:
                image = _tiff_page(data, page, lenient)
                image.load()  # turns the picture upright
                yield np.ascontiguousarray(pillow.array_of(image, frame.channels, _data(page.directory, tiff.ICC)))

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
    if not samples.is_deep(page):
        image = _tiff_page(data, page, lenient)
        if page.photometric in (5, 8):
            notes.append(f"{'CMYK' if page.photometric == 5 else 'Lab'} was converted to sRGB.")
        if page.bits > 8:
            notes.append(f"{page.bits}-bit samples were reduced to 8 bits.")
        channels, dtype = pillow.kind_of(image)
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
        image = pillow.image_of(data, lenient)
        image.seek(page.index)
    except UnidentifiedImageError as error:
        colours = tiff.COLOUR_MODELS.get(page.photometric, f"colour model {page.photometric}")
        raise Unsupported(f"TIFF, {colours}, {page.samples} samples of {page.bits} bits") from error
    return image
