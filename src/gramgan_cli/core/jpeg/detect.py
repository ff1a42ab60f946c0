"""Finding out from a photo's pixels how JPEG has quantised it, whatever the format of its file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramgan_cli.core.jpeg.blocks import BLOCK, to_coefficients
from gramgan_cli.core.jpeg.planes import Halved, original_samples, to_planes
from gramgan_cli.core.jpeg.tables import FAMILIES, Tables, scaled

LARGEST_SIDE = 512
"""Largest side in pixels that is examined; larger photos are cropped to their middle."""

UNIT = 2 * BLOCK
"""Side in pixels of a block of the colour differences at half resolution."""

MOST_BLOCKS = 2048
"""Largest number of luma blocks that are examined."""

QUALITIES = range(2, 96)
"""Qualities that can be told apart. Above them the steps are as small as the rounding to 8 bits."""

FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (2, 2))
"""Frequencies whose coefficients are examined: those that are rarely 0."""

COLOUR_FREQUENCIES = ((0, 0), *FREQUENCIES)
"""The same for colour differences, of which few but the means are other than 0."""

ROUNDING, ROUNDING_OF_MEANS = 0.5, 2.0
"""Standard deviation of a coefficient's distance to the multiple of its step, after rounding RGB to 8 bits. All pixels
of a plain block are rounded alike, which moves its mean (frequency 0, 0) most."""

OUTLIERS = 0.03
"""Fraction of the coefficients at any distance, e.g. where colours were clipped."""

LEAST_LIKELIHOOD = 0.4
"""Least mean log-likelihood ratio for a decision. Photos that were never compressed have at most -0.2; at quality 85
most have 0.7."""

LEAST_COEFFICIENTS = 50
"""Least number of coefficients other than 0 for a decision."""

SAMPLINGS: tuple[Halved, ...] = ((True, True), (False, True), (False, False), (True, False))
"""4:2:0, 4:2:2, 4:4:4, and 4:2:2 turned by 90 degrees."""


@dataclass(frozen=True)
class Compression:
    """How a photo was compressed."""

    quality: int
    """Quality of libjpeg, 1 to 100."""
    tables: Tables
    turned: bool
    """Whether the photo was turned by 90 degrees afterwards."""
    halved: Halved
    """Sampling of the colour differences, as the photo lies now."""

    @property
    def luma_steps(self) -> Tensor:
        """Quantisation steps of luma, (8, 8)."""
        return _steps(self.tables.luma, self.quality, self.turned)

    @property
    def colour_steps(self) -> Tensor:
        """Quantisation steps of the colour differences, (8, 8)."""
        return _steps(self.tables.chroma, self.quality, self.turned)


def detect_compression(image: NDArray[Any]) -> Compression | None:
    """Find the quantisation of a photo whose blocks begin at its top left corner.

    The coefficients of a decoded photo lie near multiples of their quantisation step (Fan and de Queiroz 2003,
    "Identification of bitmap compression history"). The tables with the largest mean log-likelihood per coefficient are
    returned, against coefficients of any value. This also finds the coarser of two compressions with the same blocks.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        The compression; None if there was none, if it is too weak to be found, or if its blocks begin elsewhere.
    """
    middle = _middle(image)
    if min(middle.shape[:2]) < UNIT:
        return None
    planes = to_planes(middle)
    coefficients = to_coefficients(planes[0]).transpose(1, 2)[~_clipped(middle)]
    coefficients = coefficients[:: -(-len(coefficients) // MOST_BLOCKS) or 1]
    fits = {
        (quality, tables, turned): _likelihood(coefficients, _steps(tables.luma, quality, turned))
        for tables in FAMILIES
        for quality in QUALITIES
        for turned in (False, True)
    }
    (quality, tables, turned), likelihood = max(fits.items(), key=lambda fit: fit[1])
    if likelihood < LEAST_LIKELIHOOD:
        return None
    steps = _steps(tables.chroma, quality, turned)
    colours = {
        halved: to_coefficients(original_samples(planes[1:], halved)).transpose(2, 3).flatten(0, 2)
        for halved in SAMPLINGS
    }
    halved = max(SAMPLINGS, key=lambda choice: _likelihood(colours[choice], steps, COLOUR_FREQUENCIES))
    return Compression(quality, tables, turned, halved)


def _steps(table: tuple[int, ...], quality: int, turned: bool) -> Tensor:
    steps = scaled(table, quality)
    return steps.T if turned else steps


def _middle(image: NDArray[Any]) -> NDArray[Any]:
    """Crop to the middle, aligned with the blocks."""
    top, left = (max(0, side - LARGEST_SIDE) // 2 // UNIT * UNIT for side in image.shape[:2])
    height, width = (min(side, LARGEST_SIDE) // UNIT * UNIT for side in image.shape[:2])
    return image[top : top + height, left : left + width]


def _clipped(image: NDArray[Any]) -> Tensor:
    """Whether each block has black or white samples, which are not those that JPEG had: (rows, columns)."""
    extreme = ((image == 0) | (image == 255)).any(axis=2)
    height, width = extreme.shape
    blocks = extreme.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).any(axis=(1, 3))
    return torch.from_numpy(np.ascontiguousarray(blocks))


def _likelihood(coefficients: Tensor, steps: Tensor, frequencies: tuple[tuple[int, int], ...] = FREQUENCIES) -> float:
    """Mean log-likelihood of being quantised, relative to an even density, of coefficients that are not rounded to 0.

    A coefficient at distance d from a multiple of its step s has density (1 - o) N(d; r) + o / s near it, with rounding
    r and a fraction o of outliers; the even density is 1 / s.

    Args:
        coefficients: (N, 8, 8).
        steps: (8, 8).
        frequencies: vertical and horizontal frequencies to use.
    """
    rows, columns = torch.tensor(frequencies).T
    values, step = coefficients[:, rows, columns], steps[rows, columns]
    rounding = torch.where((rows == 0) & (columns == 0), ROUNDING_OF_MEANS, ROUNDING)
    multiples = (values / step).round()
    distances = (values - multiples * step) / rounding
    normal = torch.exp(-(distances**2) / 2) / (rounding * math.sqrt(2 * math.pi))
    ratios = torch.log((1 - OUTLIERS) * step * normal + OUTLIERS)[multiples != 0]
    return float(ratios.mean()) if len(ratios) >= LEAST_COEFFICIENTS else -math.inf
