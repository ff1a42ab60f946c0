"""Checks of memory and disk space before a picture is upscaled."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.output_format import Target
from gramgan_cli.core.images.photo import Frame, Photo
from gramgan_cli.core.images.samples import EIGHT
from gramgan_cli.core.io.files import UNFINISHED, clear_leftovers, unfinished_prefix
from gramgan_cli.core.jpeg.smoothing import workspace

BANDS_AHEAD = 2
"""Number of finished bands that may wait for the encoder."""

ENCODER_BYTES = {"jpg": 4, "webp": 40, "avif": 48}
"""Bytes per result pixel in encoders that need the whole picture: the canvas and working memory, as measured on 12
megapixels of noise (lossless libwebp 1.6: 33, libavif 1.4: 38)."""

TOO_LARGE = "needs more memory than there is. Use a smaller `tile`, or write PNG or TIFF, which need the least."

ALPHA_BYTES = 10
"""Working memory of ``extend_colours`` in bytes per pixel, besides its input and output, as measured."""

RUNTIME_MEMORY = 700 * 2**20
"""Bytes used by the interpreter and torch before any picture is read."""


def tile_budget(max_memory: int) -> int:
    """Bytes available to a tile if the whole process is to stay below ``max_memory`` bytes."""
    return max(16 * 2**20, (max_memory - RUNTIME_MEMORY) // 3)


def check_memory(
    photo: Photo, target: Target, scale: int, tile: int, file_bytes: int, max_memory: int | None, smooths: bool = False
) -> None:
    """Raise GramganError if a picture needs more than ``max_memory`` bytes.

    Args:
        photo: the opened picture.
        target: format and size of its result.
        scale: the model's scale factor.
        tile: side of a tile in input pixels, 0 for the whole picture.
        file_bytes: size of the picture's file.
        max_memory: limit in bytes; None for no limit.
        smooths: whether blocks of JPEG are smoothed before the network runs.
    """
    if max_memory is None:
        return
    frames = zip(photo.frames, target.frames, strict=True)
    # The file is held in memory; checking and rebuilding it takes twice as much again.
    needed = (
        RUNTIME_MEMORY
        + 3 * file_bytes
        + max(needed_memory(before, after, scale, tile, target, smooths) for before, after in frames)
    )
    if needed > max_memory:
        raise GramganError(
            f"{photo.name} needs about {needed / 2**30:.1f} GB, more than `max_memory` allows.",
            "Allow more, use a smaller `tile`, or write PNG or TIFF, which need the least.",
        )


def needed_memory(before: Frame, after: Frame, scale: int, tile: int, target: Target, smooths: bool) -> int:
    """Bytes for the decoded picture, twice (while it is turned upright, and if it is cleaned), and for the bands and
    the encoder, or for smoothing, which comes before them. A smoothed picture is held, too, while it is cleaned."""
    rows = min(before.height, tile or before.height) * scale
    band = rows * before.width * scale * before.channels * before.dtype.itemsize
    resized = 0
    if (after.width, after.height) != (before.width * scale, before.height * scale):
        resized = 3 * rows * after.width * after.channels * 4  # float32: the rows held and two intermediate results
    encoder = ENCODER_BYTES.get(target.format.name, 0) * after.width * after.height
    smooths = smooths and (before.dtype, before.channels) == (EIGHT, 3)
    smoothing = workspace(before.height, before.width) if smooths else 0
    smoothed = before.byte_count if smooths else 0
    working = max((2 + BANDS_AHEAD) * band + resized + encoder + smoothed, smoothing)
    return 2 * before.byte_count + alpha_memory(before) + working


def alpha_memory(frame: Frame) -> int:
    """Bytes for extending colours under transparency: masks and coordinates per pixel, and a second picture."""
    return ALPHA_BYTES * frame.height * frame.width + frame.byte_count if frame.channels in (2, 4) else 0


def check_space(path: Path, target: Target) -> None:
    """Raise GramganError if the disk has less space than the smallest lossless result, 1/16 of the raw size."""
    if target.format.name not in ("png", "tiff"):
        return
    least = sum(frame.byte_count for frame in target.frames) // 16
    free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else least
    if free < least and least > 2**24:
        raise GramganError(
            f"The disk of {path.parent} has {free / 2**20:.0f} MB left, too little for a result of about "
            f"{8 * least / 2**20:.0f} MB.",
            "Free some space, or choose another `output`.",
        )


def check_writable(folder: Path) -> None:
    """Create the folder, remove old unfinished files and write a test file, so that failures show before the run."""
    if folder.exists() and not folder.is_dir():
        raise GramganError(f"{folder} is not a folder.", "Choose another folder with `output`.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=unfinished_prefix("probe"), suffix=UNFINISHED) as file:
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise GramganError(
            f"Can't write to the folder {folder}: {error.strerror or error}.", "Choose another folder with `output`."
        ) from error
