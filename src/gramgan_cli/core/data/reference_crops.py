"""References for training TTSR on single photos: a second crop of each photo, shifted, scaled and relit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.resize.matlab import imresize, round_to_8bit

SHIFT = 0.25
"""Largest shift along each axis, as a fraction of the crop's side."""
SCALE = 1.25
"""Largest scale of the visible area; its inverse is the smallest."""
GAMMA = 1.25
"""Largest exponent of the tone curve; its inverse is the smallest."""
EXPOSURE = 0.2
"""Largest relative change of brightness."""
TINT = 0.05
"""Largest relative change of one channel against the others."""


def _log_uniform(generator: np.random.Generator, largest: float) -> float:
    """Draw log-uniformly between 1 / ``largest`` and ``largest``, so that both directions are equally likely."""
    return float(np.exp(generator.uniform(-np.log(largest), np.log(largest))))


def _shifted(start: int, side: int, window: int, length: int, generator: np.random.Generator) -> int:
    """Return the start of a randomly shifted window around the centre of [start, start + side), inside [0, length)."""
    middle = start + side / 2 + generator.uniform(-SHIFT, SHIFT) * side
    return int(np.clip(round(middle - window / 2), 0, length - window))


def relight(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Change exposure, tone curve and white balance: gain * (image / 255) ** gamma, with one gain per channel."""
    gamma = _log_uniform(generator, GAMMA)
    gain = (1 + generator.uniform(-EXPOSURE, EXPOSURE)) * (1 + generator.uniform(-TINT, TINT, 3))
    table = (np.arange(256) / 255.0)[:, None] ** gamma * gain
    levels = round_to_8bit(255 * table)
    return np.stack([levels[image[..., channel], channel] for channel in range(3)], axis=-1)


def reference_crop(
    photo: NDArray[np.uint8], top: int, left: int, side: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a reference for the crop ``photo[top : top + side, left : left + side]``.

    Its area is up to a quarter larger or smaller (per side), shifted by up to a quarter of a side, and relit. It
    contains most of the crop's content, at another position, size and brightness.

    Args:
        photo: RGB (H, W, 3), both sides at least ``side``.
        top, left, side: the HR crop.
        generator: random generator; equal states give equal references.

    Returns:
        RGB (side, side, 3).
    """
    height, width = photo.shape[:2]
    window = min(round(side * _log_uniform(generator, SCALE)), height, width)
    row = _shifted(top, side, window, height, generator)
    column = _shifted(left, side, window, width, generator)
    seen = photo[row : row + window, column : column + window]
    return relight(imresize(seen, side / window, size=(side, side)), generator)
