"""Smoothing the blocks and patches of wrong colour that JPEG leaves, as far as its rounding may have caused them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramgan_cli.core.jpeg.blocks import to_coefficients, to_plane
from gramgan_cli.core.jpeg.detect import UNIT, Compression
from gramgan_cli.core.jpeg.planes import interpolated, original_samples, reduced, to_image, to_planes

DISTANCES = (8, 4, 2, 1)
"""Distances in samples over which neighbours are averaged, one after another."""

REPEATS = 4
"""Number of times that all distances are used."""

EDGE = 9.0
"""Sum of luma steps, in levels, over which the weight of a neighbour falls to 1/e."""

ZERO, OTHERS = 0.4, 0.25
"""Largest change of a coefficient in quantisation steps. JPEG's rounding allows 0.5. Coefficients that were rounded to
another value than 0 are nearer to it on average than a smooth picture would have them."""

PLAIN = 1
"""Largest number of coefficients other than 0, besides the mean, of luma blocks that are smoothed. The network keeps
more of the texture in all others than smoothing would."""

LEAST_LUMA_STEP, LEAST_COLOUR_STEP = 16, 8
"""Smallest steps of a block's mean (two levels, at quality 50; one level, at quality 76) with which planes are
smoothed. Below them no blocks are seen, and smoothing would take more detail from some photos than it repairs."""

TILE, HALO = 1024, 128
"""Side in pixels of the parts that are smoothed at once, and pixels around them. Memory stays bounded, and results are
within one level of those of the whole photo. Both are multiples of ``UNIT``."""

WORKSPACE = 200
"""Memory in bytes per pixel of a part and its surroundings, as measured for 4:4:4, which takes the most."""


def smooth_blocks(image: NDArray[Any], compression: Compression, amount: float = 1.0) -> NDArray[np.uint8]:
    """Smooth a photo's colour differences, and luma in plain blocks, within JPEG's quantisation intervals.

    Samples are averaged with their neighbours on the same side of luma's contours. Then every coefficient returns into
    an interval around its stored value, so that what JPEG kept stays (projection onto the quantisation constraint set:
    Zakhor 1992, "Iterative procedures for reduction of blocking effects in transform image coding").

    Args:
        image: (H, W, 3) uint8 RGB, compressed as ``compression`` says.
        compression: from ``detect_compression``.
        amount: fraction of the change to apply, 0 to 1.

    Returns:
        (H, W, 3) uint8.
    """
    result = np.empty(image.shape, np.uint8)
    height, width = image.shape[:2]
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            rows, columns = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            result[rows, columns] = smooth_part(image, rows, columns, compression, amount)
    return result


def smooth_part(
    image: NDArray[Any], rows: slice, columns: slice, compression: Compression, amount: float = 1.0
) -> NDArray[np.uint8]:
    """Return a rectangle of ``smooth_blocks(image, compression, amount)``, to within one level, without the rest."""
    (top, above), (left, before) = (
        _begin(axis.start, origin) for axis, origin in zip((rows, columns), compression.origin, strict=True)
    )
    around = image[top : rows.stop + HALO, left : columns.stop + HALO]
    around = np.pad(around, ((above, 0), (before, 0), (0, 0)), mode="edge")
    smooth = _smoothed(around, compression, amount)[above:, before:]
    return smooth[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _begin(start: int, origin: int) -> tuple[int, int]:
    """Where to begin along one axis for a part that begins at ``start``: at a unit, some pixels before the part.

    Args:
        start: first row or column of the part.
        origin: first row or column of a whole unit.

    Returns:
        The first row or column. If the unit there begins outside the photo, 0 and the number that is missing.
    """
    first = (max(0, start - HALO) - origin) // UNIT * UNIT + origin
    return max(0, first), max(0, -first)


def workspace(height: int, width: int) -> int:
    """Memory in bytes that ``smooth_blocks`` needs, besides the photo and the result."""
    tall, wide = (min(side, TILE + 2 * HALO) for side in (height, width))
    return WORKSPACE * tall * wide


def _smoothed(image: NDArray[Any], compression: Compression, amount: float) -> NDArray[np.uint8]:
    """Smooth a part that begins at a unit."""
    luma_visible = compression.luma_steps[0, 0] >= LEAST_LUMA_STEP
    colours_visible = compression.halved is not None and compression.colour_steps[0, 0] >= LEAST_COLOUR_STEP
    if not luma_visible and not colours_visible:
        return image
    planes, halved = to_planes(image), compression.halved
    height, width = planes.shape[-2:]
    luma = planes[:1] - 128
    if halved is not None and colours_visible:
        colours = original_samples(planes[1:], halved)
        smooth_colours = _relaxed(colours, compression.colour_steps, reduced(luma, halved)[0])
        planes[1:] += amount * interpolated(smooth_colours - colours, halved, height, width)
    if luma_visible:
        planes[:1] += amount * (_relaxed(luma, compression.luma_steps, luma[0], most_details=PLAIN) - luma)
    return to_image(planes)


def _relaxed(samples: Tensor, steps: Tensor, guide: Tensor, most_details: int = 64) -> Tensor:
    """Average samples along the contours of ``guide``, and return their coefficients into their intervals, by turns.

    Args:
        samples: (C, H, W).
        steps: quantisation steps, (8, 8).
        guide: luma, (H, W).
        most_details: blocks with more coefficients other than 0, besides the mean, stay as they are.
    """
    stored, steps = to_coefficients(samples), steps[:, None, :]
    multiples = (stored / steps).round()
    details = multiples.count_nonzero(dim=(-3, -1)) - (multiples[..., 0, :, 0] != 0).long()
    plain = (details <= most_details)[..., None, :, None]
    middle = torch.where(plain, multiples * steps, stored)
    reach = torch.where(multiples == 0, ZERO, OTHERS) * steps * plain
    neighbours = [_Neighbours(guide, distance) for distance in DISTANCES]
    for _ in range(REPEATS):
        for near in neighbours:
            coefficients = to_coefficients(near.averaged(samples))
            samples = to_plane(coefficients.clamp(middle - reach, middle + reach), *samples.shape[-2:])
    return samples


class _Neighbours:
    """Averages with the four neighbours at one distance, weighted by the luma steps on the way to them."""

    def __init__(self, luma: Tensor, distance: int) -> None:
        self._distance = distance
        self._down, self._right = _weights(luma, distance, 0), _weights(luma, distance, 1)

    def averaged(self, samples: Tensor) -> Tensor:
        """(C, H, W) -> (C, H, W)."""
        far, (height, width) = self._distance, samples.shape[-2:]
        total, weight = samples.clone(), torch.ones(height, width)
        if height > far:
            total[:, :-far] += self._down * samples[:, far:]
            total[:, far:] += self._down * samples[:, :-far]
            weight[:-far] += self._down
            weight[far:] += self._down
        if width > far:
            total[..., :-far] += self._right * samples[..., far:]
            total[..., far:] += self._right * samples[..., :-far]
            weight[:, :-far] += self._right
            weight[:, far:] += self._right
        return total / weight


def _weights(luma: Tensor, distance: int, axis: int) -> Tensor:
    """Weight of the neighbour ``distance`` samples further along ``axis``: exp(-sum of luma steps / EDGE)."""
    steps = luma.diff(dim=axis).abs()
    length = max(0, steps.shape[axis] - distance + 1)
    way = steps.narrow(axis, 0, length).clone()
    for offset in range(1, distance if length else 1):
        way += steps.narrow(axis, offset, length)
    return torch.exp_(way.mul_(-1 / EDGE))
