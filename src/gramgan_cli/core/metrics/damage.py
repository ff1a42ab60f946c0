"""How damaged a photo looks: noise and JPEG blocks, estimated from the photo alone, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.bt601 import LUMA
from gramgan_cli.core.images.samples import WHITE

BLOCK = 8
"""Side of JPEG's blocks in pixels (ITU-T T.81)."""

SCALE_OF_MAD = 0.6744897501960817
"""The median of |x| of a normal distribution of standard deviation 1."""

LARGEST_SIDE = 1024
"""Pixels of a photo's side that are looked at; from the middle of larger ones."""

CLIPPED = 2.0
"""Levels of 255 from black and white within which pixels count as clipped: noise does not show there."""

CELL = 16
"""Side in pixels of the cells whose noise is estimated one by one."""

FLATTEST = 0.1
"""Share of the cells that are taken for flat. Grass and gravel look like noise, but few photos are nothing else."""

CLEAN_NOISE, CLEAN_BLOCKING = 1.5, 0.1
"""Below both, a photo counts as clean: uncompressed photos and JPEGs of quality 90 lie there, textured ones aside."""

NOISY, BLOCKY = 4.0, 0.3
"""Above one of them, a photo counts as damaged: noise of 5 levels and more, JPEG of quality 60 and less."""


@dataclass(frozen=True)
class Damage:
    """What a photo looks to have gone through."""

    noise: float
    """Standard deviation of the noise in the luma, in levels of 255."""
    blocking: float
    """How much larger the steps across the edges of 8 x 8 blocks are than those beside them: 0 none, 1 twice."""


def estimate_damage(image: NDArray[Any]) -> Damage:
    """Noise and blocking of a photo.

    Noise is that of the finest diagonal detail in the flattest cells, by the median of its absolute value: Donoho and
    Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage", with the mask of Immerkaer 1996, "Fast noise
    variance estimation", which is blind to lines and planes. Blocking compares steps across the grid of JPEG's blocks
    with those at the seven other positions, after Wang, Sheikh and Bovik 2002, "No-reference perceptual quality
    assessment of JPEG compressed images", in one figure.

    Args:
        image: (H, W, C) uint8, uint16 or float32 in [0, 1]; grey or RGB, alpha is left out.

    Returns:
        Zeros for a photo of less than 24 pixels a side.
    """
    height, width = image.shape[:2]
    if min(height, width) < 3 * BLOCK:
        return Damage(0.0, 0.0)
    # A crop from the middle that begins on the grid of blocks.
    top, left = (max(0, side - LARGEST_SIDE) // 2 // BLOCK * BLOCK for side in (height, width))
    part = image[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]
    colours = part[:, :, :3] if part.shape[2] >= 3 else part[:, :, :1]
    luma = colours.astype(np.float64) * (255 / WHITE[image.dtype])
    luma = luma @ LUMA if luma.shape[2] == 3 else luma[:, :, 0]
    return Damage(_noise(luma), max(_blocking(luma), _blocking(luma.T)))


def _noise(luma: NDArray[np.float64]) -> float:
    """Standard deviation by the median of |Immerkaer's mask| in each cell; the mask's squared weights sum to 36."""
    rows = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    detail = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    middle = luma[1:-1, 1:-1]
    seen = (middle > CLIPPED) & (middle < 255 - CLIPPED)
    height, width = (side // CELL * CELL for side in detail.shape)

    def cells(values: NDArray[Any]) -> NDArray[Any]:
        cut = values[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL)
        return cut.transpose(0, 2, 1, 3).reshape(-1, CELL * CELL)

    unclipped = cells(seen).mean(axis=1) > 0.9
    if not unclipped.any():
        return 0.0
    deviations = np.median(cells(detail)[unclipped], axis=1) / (6 * SCALE_OF_MAD)
    return float(np.quantile(deviations, FLATTEST))


def _blocking(luma: NDArray[np.float64]) -> float:
    """Mean |second difference| across vertical block edges over that at other positions, less 1; at least 0."""
    step = np.abs(np.diff(luma, axis=1))
    # The step at an edge beside the mean of its neighbours' steps: smooth slopes have no excess.
    excess = step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2
    means = np.array([excess[:, position::BLOCK].mean() for position in range(BLOCK)])
    usual = step.mean()
    # Position p of ``excess`` is the step between columns p + 1 and p + 2: edges of blocks are at p = 6.
    others = np.delete(means, BLOCK - 2)
    return float(max(0.0, (means[BLOCK - 2] - others.mean()) / usual)) if usual > 0 else 0.0


def advice(damage: Damage, denoise: float) -> str | None:
    """One sentence where a photo does not suit how much noise is taken away; None where it does.

    Args:
        damage: from ``estimate_damage``.
        denoise: 0, nothing is taken away, to 1.
    """
    clean = damage.noise < CLEAN_NOISE and damage.blocking < CLEAN_BLOCKING
    if clean and denoise > 0.5:
        return "The photo looks clean, so less denoising may keep more of it."
    if damage.noise > NOISY and denoise < 0.5:
        return "The photo looks noisy, so more denoising may help."
    if damage.blocking > BLOCKY and denoise < 0.5:
        return "The photo shows JPEG blocks, so more denoising may help."
    return None
