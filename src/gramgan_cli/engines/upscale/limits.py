"""What memory and disk allow: checked before a picture is worked on."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.output_format import Target
from gramgan_cli.core.images.photo import Frame, Photo
from gramgan_cli.core.io.files import UNFINISHED, clear_leftovers, unfinished_prefix

BANDS_AHEAD = 2
"""Finished bands that may wait for the encoder."""

ENCODER_BYTES = {"jpg": 4, "webp": 40, "avif": 48}
"""Bytes per pixel of the result that encoders hold which need the whole of it: the canvas, and, as measured on 12
megapixels of noise, their own work (libwebp 1.6 without loss: 33, libavif 1.4: 38)."""

TOO_LARGE = "needs more memory than there is. Pass a smaller --tile, or write PNG or TIFF, which need the least."

ALPHA_BYTES = 10
"""Bytes per pixel that ``extend_colours`` holds beside the picture and its result, as measured."""

RUNTIME_MEMORY = 700 * 2**20
"""Bytes that the interpreter and torch take before any picture is there."""


def tile_budget(max_memory: int) -> int:
    """Bytes that a tile's work may take where the whole process should stay below ``max_memory`` bytes."""
    return max(16 * 2**20, (max_memory - RUNTIME_MEMORY) // 3)


def check_memory(photo: Photo, target: Target, scale: int, tile: int, file_bytes: int, max_memory: int | None) -> None:
    """Raise GramganError where one picture would take more than ``max_memory`` bytes.

    Args:
        photo: the opened picture.
        target: its result.
        scale: the model's.
        tile: side of a tile in input pixels, 0 for the whole picture.
        file_bytes: length of the picture's file.
        max_memory: None allows everything.
    """
    if max_memory is None:
        return
    frames = zip(photo.frames, target.frames, strict=True)
    # The file is held whole; to check and rebuild it takes as much twice more.
    needed = (
        RUNTIME_MEMORY
        + 3 * file_bytes
        + max(_needed_memory(before, after, scale, tile, target) for before, after in frames)
    )
    if needed > max_memory:
        raise GramganError(
            f"{photo.name} needs about {needed / 2**30:.1f} GB, more than --max-memory allows.",
            "Allow more, pass a smaller --tile, or write PNG or TIFF, which need the least.",
        )


def _needed_memory(before: Frame, after: Frame, scale: int, tile: int, target: Target) -> int:
    """Bytes: the decoded picture twice (while it is turned upright), the bands, and what the encoder holds."""
    rows = min(before.height, tile or before.height) * scale
    band = rows * before.width * scale * before.channels * before.dtype.itemsize
    resized = 0
    if (after.width, after.height) != (before.width * scale, before.height * scale):
        resized = 3 * rows * after.width * after.channels * 4  # in float32: what is held, and two steps of the sum
    encoder = ENCODER_BYTES.get(target.format.name, 0) * after.width * after.height
    return 2 * before.byte_count + alpha_memory(before) + (2 + BANDS_AHEAD) * band + resized + encoder


def alpha_memory(frame: Frame) -> int:
    """Bytes: to extend colours under transparency takes masks and coordinates per pixel, and a second picture."""
    return ALPHA_BYTES * frame.height * frame.width + frame.byte_count if frame.channels in (2, 4) else 0


def check_space(path: Path, target: Target) -> None:
    """Raise GramganError where the disk has too little room: no photograph shrinks to a sixteenth without loss."""
    if target.format.name not in ("png", "tiff"):
        return
    least = sum(frame.byte_count for frame in target.frames) // 16
    free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else least
    if free < least and least > 2**24:
        raise GramganError(
            f"The disk of {path.parent} has {free / 2**20:.0f} MB left, too little for the result of about "
            f"{8 * least / 2**20:.0f} MB.",
            "Make room, or name another --output.",
        )


def check_writable(folder: Path) -> None:
    """Make the folder, clear away old leftovers, and write a little file, so that a failure shows before the work."""
    if folder.exists() and not folder.is_dir():
        raise GramganError(f"{folder} is not a folder.", "Name another with --output.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=unfinished_prefix("probe"), suffix=UNFINISHED) as file:
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise GramganError(
            f"Can't write to the folder {folder}: {error.strerror or error}.", "Name another with --output."
        ) from error
