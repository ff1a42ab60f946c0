"""References for training TTSR on single photos: a second crop of the same photo, shifted, scaled and relit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.resize.matlab import imresize, round_to_8bit

SHIFT = 0.25
"""Largest shift along each axis, in sides of the crop."""
SCALE = 1.25
"""Largest enlargement of what is seen, and inverse of the largest reduction."""
GAMMA = 1.25
"""Largest exponent of the tone curve, and inverse of the smallest."""
EXPOSURE = 0.2
"""Largest relative change of brightness."""
TINT = 0.05
"""Largest relative change of one channel against the others."""


def _log_uniform(generator: np.random.Generator, largest: float) -> float:
    """Between 1 / ``largest`` and ``largest``, so that enlarging and reducing are equally likely."""
    return float(np.exp(generator.uniform(-np.log(largest), np.log(largest))))


def _shifted(start: int, side: int, window: int, length: int, generator: np.random.Generator) -> int:
    """Start of a window about the middle of [start, start + side), shifted at random, inside [0, length)."""
    middle = start + side / 2 + generator.uniform(-SHIFT, SHIFT) * side
    return int(np.clip(round(middle - window / 2), 0, length - window))


def relight(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure, tone curve and white balance: gain * (image / 255) ** gamma, one gain for each channel."""
    gamma = _log_uniform(generator, GAMMA)
    gain = (1 + generator.uniform(-EXPOSURE, EXPOSURE)) * (1 + generator.uniform(-TINT, TINT, 3))
    table = (np.arange(256) / 255.0)[:, None] ** gamma * gain
    levels = round_to_8bit(255 * table)
    return np.stack([levels[image[..., channel], channel] for channel in range(3)], axis=-1)


def reference_crop(
    photo: NDArray[np.uint8], top: int, left: int, side: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """A reference for the crop ``photo[top : top + side, left : left + side]``.

    It shows up to a quarter more or less, is shifted by up to a quarter of a side, and is relit; so most of what the
    crop shows is in it, never at the same place, size and brightness.

    Args:
        photo: RGB (H, W, 3), both sides at least ``side``.
        top, left, side: the HR crop.
        generator: where the randomness comes from; equal states give equal references.

    Returns:
        RGB (side, side, 3).
    """
    height, width = photo.shape[:2]
    window = min(round(side * _log_uniform(generator, SCALE)), height, width)
    row = _shifted(top, side, window, height, generator)
    column = _shifted(left, side, window, width, generator)
    seen = photo[row : row + window, column : column + window]
    return relight(imresize(seen, side / window, size=(side, side)), generator)
