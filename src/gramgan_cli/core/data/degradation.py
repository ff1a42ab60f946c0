"""Damaged LR of whole photos and of crops: a recipe's ``degradation`` table at work."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.data.damage.strength import Degradation
from gramgan_cli.core.data.damage.web import web_damaged
from gramgan_cli.core.data.damage.wide import wide_damaged

CONTEXT = 8
"""LR pixels around a crop that are degraded with it, so that its border looks like its inside."""


def degrade(hr: NDArray[np.uint8], scale: int, strength: Degradation, draw: np.random.Generator) -> NDArray[np.uint8]:
    """A real photo's LR of ``hr``.

    Args:
        hr: RGB (H, W, 3), both sides multiples of ``scale``.
        scale: HR side over LR side.
        strength: limits and chances; its ``share`` is the caller's business.
        draw: where the randomness comes from; equal states give equal pictures.

    Returns:
        RGB (H / scale, W / scale, 3).
    """
    if strength.model == "web":
        return web_damaged(hr, scale, strength, draw)
    return wide_damaged(hr, scale, strength, strength.severity or draw.random(), draw)


def picture_draw(name: str, seed: int) -> np.random.Generator:
    """The randomness of one whole picture: a function of its file name and the seed."""
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
    """The degraded LR of one crop of a photo, made with its surroundings.

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
