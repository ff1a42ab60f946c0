"""Reading through Pillow: eight bits per sample, animations composed by Pillow."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageSequence

from gramgan_cli.core.images.limits import LARGEST_PIXELS, check_size
from gramgan_cli.core.images.metadata.colour import srgb_profile, to_srgb
from gramgan_cli.core.images.metadata.exif import DamagedExif, exif_orientation
from gramgan_cli.core.images.metadata.orientation import upright, upright_size
from gramgan_cli.core.images.photo import Animation, Frame, Metadata, Photo, plausible_dpi
from gramgan_cli.core.images.samples import EIGHT, FLOAT, SIXTEEN, with_axis

Array = NDArray[Any]

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
"""Pillow's format names -> ours."""

# Pillow's own limit is below the size of 100-megapixel photos; limits.check_size replaces it.
Image.MAX_IMAGE_PIXELS = LARGEST_PIXELS
# Pillow's warnings about files are either replaced by our own errors and warnings, or irrelevant.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


def register_optional_readers() -> None:
    """Register HEIC and JPEG XL, if the extras [heic] and [jxl] are installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with suppress(ImportError):
        importlib.import_module("pillow_jxl")  # registers itself


def open_image(source: Path | IO[bytes], lenient: bool = False) -> Image.Image:
    """Open a file with Pillow, restricted to the readers of supported formats.

    Pillow chooses a reader by the file's first bytes, whatever its name, and some readers start other programs
    (Ghostscript for EPS). All code that opens an image with Pillow uses this function. If ``lenient``, decoders fill in
    missing data until the next image is opened: Pillow has one global switch for all of them.

    Raises:
        PIL.UnidentifiedImageError: the file has none of these formats.
        OSError: the file can't be read.
    """
    register_optional_readers()
    Image.init()
    set_leniency(lenient)
    return Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])


def set_leniency(lenient: bool) -> None:
    """Set whether Pillow's decoders fill in missing data."""
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def image_of(data: bytes, lenient: bool) -> Image.Image:
    """Open a file's bytes as ``open_image`` does."""
    return open_image(io.BytesIO(data), lenient)


def kind_of(image: Image.Image) -> tuple[int, np.dtype[Any]]:
    """Return the channels and sample type of the image as an array."""
    if image.mode in ("1", "L", "LA", "La"):
        return (2 if image.has_transparency_data else 1), EIGHT
    if image.mode.startswith("I"):
        return 1, SIXTEEN
    if image.mode == "F":
        return 1, FLOAT
    return (4 if image.has_transparency_data else 3), EIGHT


def array_of(image: Image.Image, channels: int, icc: bytes | None) -> Array:
    """Return the image's pixels, (H, W, channels); CMYK is converted with the profile ``icc``."""
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
    return with_axis(np.asarray(image if image.mode == mode else image.convert(mode)))


def metadata_of(image: Image.Image) -> Metadata:
    """Return the metadata that Pillow reads."""
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
        comment = text_of(comment)
    return Metadata(icc=icc, exif=exif, xmp=xmp or None, dpi=_dpi(info.get("dpi")), comment=comment or None)


def text_of(written: bytes) -> str:
    """Decode a comment, whose encoding no format states, as UTF-8 or else as Latin-1, which accepts any bytes."""
    try:
        return written.decode("utf-8")
    except UnicodeDecodeError:
        return written.decode("latin-1")


def _dpi(value: Any) -> tuple[float, float] | None:
    """Return Pillow's resolution, if it is a pair of numbers."""
    return plausible_dpi(float(value[0]), float(value[1])) if isinstance(value, tuple) and len(value) == 2 else None


def oriented(metadata: Metadata) -> tuple[int, Metadata, tuple[str, ...]]:
    """Return orientation, metadata and notes; an invalid EXIF block is dropped with a note."""
    if metadata.exif is None:
        return 1, metadata, ()
    try:
        orientation = exif_orientation(metadata.exif)
        return orientation, replace(metadata, turned=orientation != 1), ()
    except DamagedExif:
        return 1, replace(metadata, exif=None), ("Its EXIF block is damaged and was left out.",)


@dataclass(frozen=True)
class Raster:
    """A file opened by Pillow, with its properties."""

    data: bytes
    name: str
    lenient: bool
    image: Image.Image
    format: str
    """As ``Photo.format``."""
    metadata: Metadata
    orientation: int
    notes: tuple[str, ...]
    lossless: bool = True

    def still(self) -> Photo:
        """Return the only image, or the first one."""
        channels, dtype = kind_of(self.image)
        icc = self.image.info.get("icc_profile")

        def decode() -> Iterator[Array]:
            yield upright(array_of(image_of(self.data, self.lenient), channels, icc), self.orientation)

        width, height = upright_size(self.image.width, self.image.height, self.orientation)
        frames = (Frame(width, height, channels, dtype),)
        return Photo(self.name, self.format, frames, self.lossless, decode, self.metadata, warnings=self.notes)

    def animated(self) -> Photo:
        """Return an animation, whose frames are composed on those before.

        If ``lenient``, the frames are kept in memory. Pillow's global switch may have been changed for another file
        when they would be decoded later.
        """
        durations, transparent, kept = list[float](), False, list[Array]()
        for frame in ImageSequence.Iterator(self.image):
            picture = frame.convert("RGBA")
            transparent = transparent or np.asarray(picture.getchannel("A")).min() < 255
            if self.lenient:
                kept.append(np.asarray(picture))
            durations.append(float(frame.info.get("duration", 100)))
        channels = 4 if transparent else 3

        def decode() -> Iterator[Array]:
            again = (np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(self.image))
            for frame in kept if self.lenient else again:
                yield upright(frame[:, :, :channels], self.orientation)

        width, height = upright_size(self.image.width, self.image.height, self.orientation)
        frames = (Frame(width, height, channels, EIGHT),) * len(durations)
        timing = Animation(tuple(durations), self._plays())
        return Photo(self.name, self.format, frames, self.lossless, decode, self.metadata, timing, self.notes)

    def _plays(self) -> int:
        """Return how many times the animation plays; 0 is for ever."""
        loop = self.image.info.get("loop")
        if self.format == "gif":  # missing: once; n: n times more
            return 1 if loop is None else (loop + 1 if loop else 0)
        return int(loop or 0)

    def photo(self) -> Photo:
        """Return the animation if there are several frames, else the still image."""
        return self.animated() if getattr(self.image, "n_frames", 1) > 1 else self.still()


def opened(data: bytes, name: str, lenient: bool) -> Raster:
    """Open a file and read its metadata.

    Raises:
        GramganError: it claims an absurd size.
    """
    image = image_of(data, lenient)
    check_size(name, image.width, image.height, len(data))
    metadata, notes = metadata_of(image), list[str]()
    if image.mode in ("CMYK", "LAB"):
        notes.append(f"{image.mode} was converted to sRGB.")
    orientation, metadata, more = oriented(metadata)
    return Raster(data, name, lenient, image, FORMATS[image.format or ""], metadata, orientation, (*notes, *more))
