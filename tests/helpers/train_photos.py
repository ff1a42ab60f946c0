"""Photos for trainings of a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def blurred_noise(folder: Path, count: int, size: tuple[int, int], by: int) -> Path:
    """Smooth photos, ``0.png`` and on: noise, blurred by being enlarged.

    Args:
        folder: made where it isn't there.
        count: how many.
        size: width and height.
        by: how many times the noise is enlarged.

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
    """Square photos of noise, ``0.png`` and on."""
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder
