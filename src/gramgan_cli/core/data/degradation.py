"""Degraded LR of whole photos and crops, according to a recipe's ``degradation`` table."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.data.damage.strength import Degradation
from gramgan_cli.core.data.damage.web import web_damaged
from gramgan_cli.core.data.damage.wide import wide_damaged

CONTEXT = 8
"""LR pixels around a crop that are degraded with it, so that its border looks like its interior."""


def degrade(hr: NDArray[np.uint8], scale: int, strength: Degradation, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return the degraded LR of ``hr``.

    Args:
        hr: RGB (H, W, 3), both sides multiples of ``scale``.
        scale: HR side over LR side.
        strength: limits and probabilities; ``share`` is not used here.
        draw: random generator; equal states give equal images.

    Returns:
        RGB (H / scale, W / scale, 3).
    """
    if strength.model == "web":
        return web_damaged(hr, scale, strength, draw)
    return wide_damaged(hr, scale, strength, strength.severity or draw.random(), draw)


def picture_draw(name: str, seed: int) -> np.random.Generator:
    """Return the random generator for a whole image, seeded by its file name and the seed."""
    return np.random.default_rng([seed, *os.fsencode(name)])


def degraded_crop(
    hr: NDArray[np.uint8],
    top: int,
    left: int,
    side: int,
    scale: int,
    strength: Degradation,
    draw: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the degraded LR of a crop, degraded together with its surroundings.

    Args:
        hr: the photo, RGB (H, W, 3), both sides multiples of ``scale``.
        top, left, side: the crop in LR pixels.
        scale, strength, draw: see :func:`degrade`.

    Returns:
        RGB (side, side, 3).
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    first_row, first_column = max(0, top - CONTEXT), max(0, left - CONTEXT)
    last_row, last_column = min(height, top + side + CONTEXT), min(width, left + side + CONTEXT)
    window = hr[first_row * scale : last_row * scale, first_column * scale : last_column * scale]
    lr = degrade(window, scale, strength, draw)
    return lr[top - first_row : top - first_row + side, left - first_column : left - first_column + side]
