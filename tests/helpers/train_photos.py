"""Photos for short trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def blurred_noise(folder: Path, count: int, size: tuple[int, int], by: int) -> Path:
    """Write smooth photos, ``0.png`` and so on: upscaled noise.

    Args:
        folder: folder, created if needed.
        count: number of photos.
        size: width and height.
        by: scale factor of the noise.

    Returns:
        The folder.
    """
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    width, height = size
    for number in range(count):
        small = rng.integers(0, 256, (height // by, width // by, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def plain_noise(folder: Path, count: int, side: int) -> Path:
    """Write square photos of noise, ``0.png`` and so on."""
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder
