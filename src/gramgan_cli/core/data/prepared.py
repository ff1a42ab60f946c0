"""Prepared training photos: every HR photo and its LR, decoded once into one memory-mapped file.

Decoding a JPEG for every crop takes far longer than cropping. The file's name is a hash of its sources. All processes
on a computer share it, and it is kept after the run, so a resumed run starts at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gramgan_cli.core.data.grey import read_grey
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.formats.pillow import open_image
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.resize.matlab import Levels, crop_to_multiple, make_lr

VERSION = 4

Channels = Literal[1, 3]
"""Channels of prepared photos: 1 for 16-bit grey, 3 for 8-bit RGB."""

DTYPES: dict[int, np.dtype[np.uint8 | np.uint16]] = {1: np.dtype(np.uint16), 3: np.dtype(np.uint8)}
"""Sample type for each number of channels."""


@dataclass(frozen=True)
class PreparedPhoto:
    """One photo, as views into the mapped file."""

    name: str
    """File name of the HR photo."""
    lr: Levels
    """(h, w, 3) ``uint8``, or (h, w, 1) ``uint16``."""
    hr: Levels
    """(scale h, scale w, C), of LR's type."""
    ref: NDArray[np.uint8] | None = None
    """A reference photo of any size (H, W, 3), for networks that take one."""
    given: bool = False
    """Whether LR was given rather than made from HR."""


def read_rgb(file: Path | BinaryIO, name: str | None = None) -> NDArray[np.uint8]:
    """Read an image as 8-bit RGB (H, W, 3), upright by EXIF orientation. Errors name the file (as ``name``)."""
    with picture_errors(name or str(file)), open_image(file) as image:
        return _in_8bit(ImageOps.exif_transpose(image))


COPY_AGAIN = "Copy it again from its source, or leave it out."


@contextmanager
def picture_errors(path: str) -> Iterator[None]:
    """Convert Pillow's errors about an unreadable image to a ``GramganError`` that names it."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise GramganError(f"{path} is too large: {error}") from error
    except GramganError:
        raise
    except Exception as error:  # Pillow raises many kinds of errors for damaged files
        reason = " ".join(str(error).split()).rstrip(".")
        raise GramganError(f"{path} can't be read as an image: {reason}.", COPY_AGAIN) from error


def _in_8bit(image: Image.Image) -> NDArray[np.uint8]:
    """Convert to RGB (H, W, 3). 16-bit and float grey are scaled here, because Pillow would clip them at 255."""
    if not image.mode.startswith(("I", "F")):
        return np.asarray(image.convert("RGB"))
    grey = np.asarray(image).astype(np.float64) * (255 / 65535 if image.mode.startswith("I") else 255)
    rounded = np.floor(np.clip(np.nan_to_num(grey), 0, 255) + 0.5).astype(np.uint8)
    return np.repeat(rounded[:, :, None], 3, axis=2)


def read_levels(file: Path | BinaryIO, channels: Channels, name: str | None = None) -> Levels:
    """Read an image as 8-bit RGB (H, W, 3) or 16-bit grey (H, W, 1), upright. Errors name the file (as ``name``)."""
    return read_rgb(file, name) if channels == 3 else read_grey(file, name)


def prepared_content(name: str, content: bytes, scale: int, channels: Channels) -> PreparedPhoto:
    """Prepare the photo in a file's content, with LR made."""
    lr, hr = pair_of(read_levels(BytesIO(content), channels, name), scale)
    return PreparedPhoto(name, lr, hr)


def pair_of(photo: Levels, scale: int) -> tuple[Levels, Levels]:
    """Return LR (h, w, C) and HR (scale h, scale w, C) of a photo; LR is the whole photo's MATLAB bicubic."""
    hr = crop_to_multiple(photo, scale)
    return make_lr(hr, scale), hr


def _pair(path: Path, lr_path: Path | None, scale: int, channels: Channels) -> tuple[Levels, Levels]:
    """Return LR and HR of a photo. LR is read if a path is given; its sides must then be 1/``scale`` of HR's."""
    photo = read_levels(path, channels)
    if lr_path is None:
        return pair_of(photo, scale)
    hr, lr = crop_to_multiple(photo, scale), read_levels(lr_path, channels)
    if lr.shape[0] * scale != hr.shape[0] or lr.shape[1] * scale != hr.shape[1]:
        raise GramganError(
            f"{lr_path} has {lr.shape[1]}x{lr.shape[0]} pixels, but the x{scale} LR image of {path} "
            f"({photo.shape[1]}x{photo.shape[0]}) must have {hr.shape[1] // scale}x{hr.shape[0] // scale}.",
            "Use pairs of matching sizes, or a network of another scale.",
        )
    return lr, hr


def _pairs(
    paths: Sequence[Path], lr_paths: Sequence[Path | None], scale: int, channels: Channels
) -> Iterator[tuple[Levels, Levels]]:
    """Yield the pairs of all paths in order; two threads decode a few photos ahead."""
    ahead = 4
    with ThreadPoolExecutor(2) as pool:
        first = range(min(ahead, len(paths)))
        waiting = [pool.submit(_pair, paths[at], lr_paths[at], scale, channels) for at in first]
        for index in range(len(paths)):
            yield waiting.pop(0).result()
            if (at := index + ahead) < len(paths):
                waiting.append(pool.submit(_pair, paths[at], lr_paths[at], scale, channels))


def _key(paths: Sequence[Path], scale: int, channels: Channels) -> str:
    """Return a name for the prepared file that changes if any photo or the preparation changes."""
    facts = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    return hashlib.sha256(json.dumps([VERSION, scale, channels, facts]).encode()).hexdigest()[:24]


def _stored_shapes(index: Path, pixels: Path, count: int, scale: int, channels: Channels) -> list[list[int]] | None:
    """Return LR height and width of each prepared photo; None if nothing is prepared or the files do not agree."""
    try:
        shapes = json.loads(index.read_text(encoding="utf-8"))
        size = pixels.stat().st_size
        sound = len(shapes) == count and all(type(side) is int and side > 0 for shape in shapes for side in shape)
        pixel = channels * DTYPES[channels].itemsize
        needed = sum(height * width for height, width in shapes) * pixel * (1 + scale**2)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return shapes if sound and needed == size else None


def prepare_photos(
    paths: Sequence[Path],
    scale: int,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
    lr_paths: Sequence[Path] | None = None,
    channels: Channels = 3,
) -> list[PreparedPhoto]:
    """Prepare photos, or reuse prepared ones, and map them into memory.

    If two processes prepare the same photos at once, both do the work, and one file is kept.

    Args:
        paths: HR photos.
        scale: HR side over LR side.
        cache: folder of the prepared files.
        progress: called with (photos done, total) during preparation.
        lr_paths: the given LR of each photo; None makes LR by MATLAB's bicubic.
        channels: 3 for RGB of 8 bits, 1 for grey levels of 16 bits.

    Raises:
        GramganError: a file can't be read, or the size of a given LR is not HR's divided by ``scale``.
    """
    key = _key([*paths, *(lr_paths or [])], scale, channels)
    pixels, index = cache / f"{key}.pixels", cache / f"{key}.json"
    shapes = _stored_shapes(index, pixels, len(paths), scale, channels)
    if shapes is None:
        shapes = []
        with replacing(pixels) as temporary, temporary.open("wb") as file:
            pairs = _pairs(paths, lr_paths or [None] * len(paths), scale, channels)
            for done, (lr, hr) in enumerate(pairs, 1):
                file.write(np.ascontiguousarray(lr).data)
                file.write(np.ascontiguousarray(hr).data)
                shapes.append([*lr.shape[:2]])
                if progress is not None:
                    progress(done, len(paths))
        with replacing(index) as temporary:
            temporary.write_text(json.dumps(shapes), encoding="utf-8")
    dtype = DTYPES[channels]
    # A file without pixels, of photos smaller than the scale, can't be mapped.
    mapped = np.memmap(pixels, dtype=dtype, mode="r") if pixels.stat().st_size else np.empty(0, dtype)
    photos, offset = [], 0
    for path, (height, width) in zip(paths, shapes, strict=True):
        lr = mapped[offset : offset + height * width * channels].reshape(height, width, channels)
        offset += lr.size
        hr = mapped[offset : offset + lr.size * scale**2].reshape(height * scale, width * scale, channels)
        offset += hr.size
        photos.append(PreparedPhoto(path.name, lr, hr, given=lr_paths is not None))
    return photos


def reference_of(name: str, references: Sequence[Path]) -> Path | None:
    """Return the reference of a photo among ``references``: the same stem, or ``*_ref`` for ``*_in``; else None."""
    stem = Path(name).stem
    wanted = {stem, stem.removesuffix("_in") + "_ref"} if stem.endswith("_in") else {stem}
    return next((path for path in references if path.stem in wanted), None)


def add_references(
    photos: Sequence[PreparedPhoto], folder: Path, progress: Callable[[int, int], None] | None = None
) -> list[PreparedPhoto]:
    """Return the photos with their references from ``folder``; raise for a photo without one."""
    references = list_pictures(folder)
    paired = []
    for done, photo in enumerate(photos, 1):
        path = reference_of(photo.name, references)
        if path is None:
            raise GramganError(
                f"There is no reference for {photo.name} in {folder}.",
                "A reference has the photo's stem, or ends in _ref where the photo ends in _in.",
            )
        paired.append(replace(photo, ref=read_rgb(path)))
        if progress is not None:
            progress(done, len(photos))
    return paired
