"""Finding out from a photo's pixels how JPEG has quantised it, whatever the format of its file."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramgan_cli.core.jpeg.blocks import BLOCK, to_coefficients
from gramgan_cli.core.jpeg.planes import Halved, original_samples, to_planes
from gramgan_cli.core.jpeg.tables import FAMILIES, Tables, scaled

LARGEST_SIDE, PATCHES = 512, 4
"""Largest side in pixels that is examined as a whole. Along longer ones, this many patches are, with an equal sum."""

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

ROUNDING, COLOUR_ROUNDING, ROUNDING_OF_MEANS = 0.5, 1.5, 2.0
"""Standard deviation of a coefficient's distance to the multiple of its step, after rounding RGB to 8 bits. That of
colour differences is larger because their samples must be recovered, or are compressed twice. All pixels of a plain
block are rounded alike, which moves its mean (frequency 0, 0) most."""

OUTLIERS = 0.03
"""Fraction of the coefficients at any distance, e.g. where colours were clipped."""

LEAST_LIKELIHOOD = 0.4
"""Least mean log-likelihood ratio for a decision. Photos that were never compressed have at most -0.2; at quality 85
most have 0.7."""

LEAST_COLOUR_LIKELIHOOD = 0.0
"""The same for colour differences. Photos that were compressed once have at least 0.2; photos with other tables for
colours, or recoloured after compression, have at most -0.2."""

LEAST_COEFFICIENTS = 50
"""Least number of coefficients other than 0 for a decision."""

LEAST_VALUES, LEAST_LIKELIHOOD_OF_VALUES = 12, 0.3
"""Least number of different values, and their least mean log-likelihood ratio, each counted once. Gradients and
patterns repeat few values, which some table always fits."""

NEAR_ZERO = 1.0
"""Largest magnitude of a coefficient, in levels, that counts as rounded to 0 when blocks are looked for."""

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
    halved: Halved | None
    """Sampling of the colour differences, as the photo lies now; None if they do not fit the tables."""
    origin: tuple[int, int] = (0, 0)
    """Row and column, each 0 to 15, where the first whole unit of 16 x 16 pixels begins. Cropping may move it."""

    @property
    def luma_steps(self) -> Tensor:
        """Quantisation steps of luma, (8, 8)."""
        return self._steps(self.tables.luma)

    @property
    def colour_steps(self) -> Tensor:
        """Quantisation steps of the colour differences, (8, 8)."""
        return self._steps(self.tables.chroma)

    def _steps(self, table: tuple[int, ...]) -> Tensor:
        steps = scaled(table, self.quality)
        return steps.T if self.turned else steps


def detect_compression(image: NDArray[Any]) -> Compression | None:
    """Find the quantisation of a photo and where its blocks begin.

    The coefficients of a decoded photo lie near multiples of their quantisation step (Fan and de Queiroz 2003,
    "Identification of bitmap compression history"). The tables with the largest mean log-likelihood per coefficient are
    returned, against coefficients of any value. This also finds the coarser of two compressions with the same blocks.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        The compression; None if there was none, if it is too weak to be found, or if the photo has too few details to
        tell.
    """
    if min(image.shape[:2]) < UNIT:
        return None
    top, left = first_block(image)
    patches = _patches(image[top:, left:])
    count, height, width = patches.shape[:3]
    if min(height, width) < UNIT:
        return None
    tall = patches.reshape(count * height, width, 3)
    planes = to_planes(tall)
    luma = to_coefficients(planes[0]).transpose(1, 2)[~_clipped(tall)]
    luma = luma[:: -(-len(luma) // MOST_BLOCKS) or 1]
    candidates = (
        Compression(quality, tables, turned, halved=None)
        for tables in FAMILIES
        for quality in QUALITIES
        for turned in (False, True)
    )
    fits = ((_fit(luma, candidate.luma_steps), candidate) for candidate in candidates)
    fit, compression = max(fits, key=lambda pair: pair[0].likelihood)
    if fit.likelihood < LEAST_LIKELIHOOD or not fit.varied():
        return None
    colours = planes[1:].reshape(2 * count, height, width)
    halved, down, right = _sampling(colours, compression.colour_steps)
    return replace(compression, halved=halved, origin=(top + down, left + right))


def first_block(image: NDArray[Any]) -> tuple[int, int]:
    """Find where the blocks of a compressed photo begin, by the number of luma coefficients near 0.

    JPEG rounds most coefficients of its blocks to 0. Blocks at any other place cross borders between two of JPEG's, and
    have fewer of them (after Fan and de Queiroz 2003, who look for the borders in the pixels).

    Args:
        image: (H, W, 3) uint8 RGB, at least 16 x 16 pixels.

    Returns:
        Row and column of the first whole block, each 0 to 7. If the photo was not compressed, any.
    """
    patches = _patches(image)
    count, height, width = patches.shape[:3]
    luma = to_planes(patches.reshape(count * height, width, 3))[0].reshape(count, height, width)
    zeros = {}
    for top in range(BLOCK):
        for left in range(BLOCK):
            shifted = luma[:, top : top + height - BLOCK, left : left + width - BLOCK]
            zeros[top, left] = int((to_coefficients(shifted).abs() < NEAR_ZERO).sum())
    return max(zeros, key=lambda corner: zeros[corner])


def _sampling(colours: Tensor, steps: Tensor) -> tuple[Halved | None, int, int]:
    """Find the sampling of colour differences, (C, H, W), and where their first whole block begins.

    Args:
        colours: begin at a block of luma, so that a block at half resolution begins there or 8 pixels later.
        steps: quantisation steps, (8, 8).

    Returns:
        The sampling, None if none fits; row and column of the first whole block, each 0 or 8.
    """
    likelihoods = {}
    height, width = colours.shape[1:]
    for halved in SAMPLINGS:
        for down in _block_begins(height, halved[0]):
            for right in _block_begins(width, halved[1]):
                tall, wide = (side // UNIT * UNIT for side in (height - down, width - right))
                samples = original_samples(colours[:, down : down + tall, right : right + wide], halved)
                coefficients = to_coefficients(samples).transpose(2, 3).flatten(0, 2)
                fit = _fit(coefficients, steps, COLOUR_FREQUENCIES, COLOUR_ROUNDING)
                likelihoods[halved, down, right] = fit.likelihood
    # With few colours the likelihood is -inf for all, and the most common sampling comes first.
    halved, down, right = best = max(likelihoods, key=lambda choice: likelihoods[choice])
    fits = likelihoods[best] == -math.inf or likelihoods[best] >= LEAST_COLOUR_LIKELIHOOD
    return halved if fits else None, down, right


def _block_begins(side: int, half: bool) -> range:
    """Places where a block of the colour differences may begin, for luma blocks that begin at 0 along this axis."""
    return range(0, UNIT if half and side >= UNIT + BLOCK else BLOCK, BLOCK)


def _patches(image: NDArray[Any]) -> NDArray[Any]:
    """Cut a photo into patches that are spread over it evenly and begin at blocks: (N, h, w, 3)."""
    down, across = (_starts(side) for side in image.shape[:2])
    tall, wide = (side // UNIT * UNIT if side <= LARGEST_SIDE else LARGEST_SIDE // PATCHES for side in image.shape[:2])
    return np.stack([image[top : top + tall, left : left + wide] for top in down for left in across])


def _starts(side: int) -> list[int]:
    """First pixels of the patches along one axis."""
    if side <= LARGEST_SIDE:
        return [0]
    last = side - LARGEST_SIDE // PATCHES
    return [last * patch // (PATCHES - 1) // UNIT * UNIT for patch in range(PATCHES)]


def _clipped(image: NDArray[Any]) -> Tensor:
    """Whether each block has black or white samples, which are not those that JPEG had: (rows, columns)."""
    extreme = ((image == 0) | (image == 255)).any(axis=2)
    height, width = extreme.shape
    blocks = extreme.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).any(axis=(1, 3))
    return torch.from_numpy(np.ascontiguousarray(blocks))


@dataclass(frozen=True)
class _Fit:
    """How well coefficients other than 0 fit their steps."""

    multiples: Tensor
    """Multiples of the step, (N,)."""
    frequencies: Tensor
    """Index of each coefficient's frequency, (N,)."""
    ratios: Tensor
    """Log-likelihood of being quantised, relative to an even density, (N,)."""

    @property
    def likelihood(self) -> float:
        """Mean of the ratios; -inf if there are too few."""
        return float(self.ratios.mean()) if len(self.ratios) >= LEAST_COEFFICIENTS else -math.inf

    def varied(self) -> bool:
        """Whether enough different values fit, each counted once."""
        values = np.stack((self.frequencies.numpy(), self.multiples.numpy()))
        _, index = np.unique(values, axis=1, return_inverse=True)
        means = np.bincount(index, self.ratios.numpy()) / np.bincount(index)
        return len(means) >= LEAST_VALUES and bool(means.mean() >= LEAST_LIKELIHOOD_OF_VALUES)


def _fit(
    coefficients: Tensor,
    steps: Tensor,
    frequencies: tuple[tuple[int, int], ...] = FREQUENCIES,
    rounding: float = ROUNDING,
) -> _Fit:
    """Compare coefficients with multiples of their steps, leaving out those that are rounded to 0.

    A coefficient at distance d from a multiple of its step s has density (1 - o) N(d; r) + o / s near it, with rounding
    r and a fraction o of outliers; the even density is 1 / s.

    Args:
        coefficients: (N, 8, 8).
        steps: (8, 8).
        frequencies: vertical and horizontal frequencies to use.
        rounding: standard deviation of the distances, except for means.
    """
    rows, columns = torch.tensor(frequencies).T
    values, step = coefficients[:, rows, columns], steps[rows, columns]
    deviation = torch.where((rows == 0) & (columns == 0), ROUNDING_OF_MEANS, rounding)
    multiples = (values / step).round()
    distances = (values - multiples * step) / deviation
    normal = torch.exp(-(distances**2) / 2) / (deviation * math.sqrt(2 * math.pi))
    ratios = torch.log((1 - OUTLIERS) * step * normal + OUTLIERS)
    kept = multiples != 0
    return _Fit(multiples[kept], torch.arange(len(rows)).expand_as(multiples)[kept], ratios[kept])
