"""How damaged a photo looks: noise, JPEG blocks and blur, estimated from the photo alone, without a network."""

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

LARGEST_SIDE = 768
"""Pixels of a photo's side that are looked at; from the middle of larger ones."""

CLIPPED = 2.0
"""Levels of 255 from black and white within which pixels count as clipped: noise does not show there."""

CELL = 16
"""Side in pixels of the cells whose noise is estimated one by one."""

FLATTEST = 0.1
"""Share of the cells that are taken for flat. Grass and gravel look like noise, but few photos are nothing else."""

LEAST_NOISE, CLEAN_NOISE = 0.1, 1.5
"""Between them lies the noise of a clean photo. Above lie grain and fine texture; below, compression has wiped even the
flattest cells smooth."""

CLEAN_BLOCKING, CLEAN_SHARPNESS = 0.1, 0.6
"""Below the one and above the other, a photo may count as clean. Of 16 sharp photos, whole, halved and quartered, seven
in ten do; of the same photos after a blur of 1 pixel, noise of 3 levels or JPEG of quality 75, 1 in 200."""

NOISY, BLOCKY, BLURRED = 4.0, 0.3, 0.5
"""Above the first two or below the last, a photo counts as damaged: noise of 5 levels and more, JPEG of quality 60 and
less, a Gaussian blur of 1 pixel and more."""

AUTOMATIC = (0.25, 0.5, 1.0)
"""Amounts of denoising for a clean photo, one with grain or fine texture and no other damage, and any other: what was
nearest to the original on average, see docs/models.md."""


@dataclass(frozen=True)
class Damage:
    """What a photo looks to have gone through."""

    noise: float
    """Standard deviation of the noise in the luma, in levels of 255."""
    blocking: float
    """How much larger the steps across the edges of 8 x 8 blocks are than those beside them: 0 none, 1 twice."""
    sharpness: float
    """Mean fine detail over that of the photo at half its size: 0.6 to 1 in sharp photos, 0.4 after a blur of 1 pixel,
    more than 1 with noise. 0 where there is no detail."""

    @property
    def clean(self) -> bool:
        """Whether the photo looks sharp and undamaged."""
        return LEAST_NOISE < self.noise < CLEAN_NOISE and self._unblocked and self.sharpness > CLEAN_SHARPNESS

    @property
    def grainy(self) -> bool:
        """Whether the photo has some grain or fine texture, and no other damage."""
        return CLEAN_NOISE <= self.noise <= NOISY and self._unblocked and self.sharpness > CLEAN_SHARPNESS

    @property
    def _unblocked(self) -> bool:
        return self.blocking < CLEAN_BLOCKING


def estimate_damage(image: NDArray[Any]) -> Damage:
    """Noise, blocking and sharpness of a photo.

    Noise is that of the finest diagonal detail in the flattest cells, by the median of its absolute value: Donoho and
    Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage", with the mask of Immerkaer 1996, "Fast noise
    variance estimation", which is blind to lines and planes. Blocking compares steps across the grid of JPEG's blocks
    with those at the seven other positions, after Wang, Sheikh and Bovik 2002, "No-reference perceptual quality
    assessment of JPEG compressed images", in one figure. Sharpness compares the mean absolute Laplacian with that at
    half size: in sharp photos amplitudes fall with frequency as 1 / f (Field 1987), so that it hardly depends on the
    photo's size.

    Args:
        image: (H, W, C) uint8, uint16 or float32; grey or RGB, alpha is left out. Floating point counts in [0, 1].

    Returns:
        Zeros for a photo of less than 24 pixels a side.
    """
    height, width = image.shape[:2]
    if min(height, width) < 3 * BLOCK:
        return Damage(0.0, 0.0, 0.0)
    # A crop from the middle that begins on the grid of blocks.
    top, left = (max(0, side - LARGEST_SIDE) // 2 // BLOCK * BLOCK for side in (height, width))
    part = image[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]
    colours = part[:, :, :3] if part.shape[2] >= 3 else part[:, :, :1]
    if colours.dtype == np.float32:
        colours = np.clip(np.nan_to_num(colours), 0, 1)
    levels = colours.astype(np.float32) * np.float32(255 / WHITE[image.dtype])
    luma = levels @ np.array(LUMA, np.float32) if levels.shape[2] == 3 else levels[:, :, 0]
    return Damage(_noise(luma), max(_blocking(luma), _blocking(luma.T)), _sharpness(luma))


def automatic_denoise(damage: Damage) -> float:
    """What automatic denoising sets for a photo: 0, nothing is taken away, to 1."""
    clean, grainy, any_other = AUTOMATIC
    return clean if damage.clean else grainy if damage.grainy else any_other


def _sharpness(luma: NDArray[np.float32]) -> float:
    """Mean |Laplacian| over that of the picture averaged over 2 x 2 pixels."""
    height, width = (side // 2 * 2 for side in luma.shape)
    half = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    coarse = _detail(half)
    return _detail(luma) / coarse if coarse > 0 else 0.0


def _detail(luma: NDArray[np.float32]) -> float:
    """Mean |Laplacian|."""
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float(np.abs(4 * luma[1:-1, 1:-1] - around).mean(dtype=np.float64))


def _noise(luma: NDArray[np.float32]) -> float:
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


def _blocking(luma: NDArray[np.float32]) -> float:
    """Mean |second difference| across vertical block edges over that at other positions, less 1; at least 0."""
    step = np.abs(np.diff(luma, axis=1))
    # The step at an edge beside the mean of its neighbours' steps: smooth slopes have no excess.
    excess = step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2
    means = np.array([excess[:, position::BLOCK].mean(dtype=np.float64) for position in range(BLOCK)])
    usual = step.mean(dtype=np.float64)
    # Position p of ``excess`` is the step between columns p + 1 and p + 2: edges of blocks are at p = 6.
    others = np.delete(means, BLOCK - 2)
    return float(max(0.0, (means[BLOCK - 2] - others.mean()) / usual)) if usual > 0 else 0.0


def advice(damage: Damage, denoise: float) -> str | None:
    """One sentence where a photo does not suit how much noise is taken away; None where it does.

    Args:
        damage: from ``estimate_damage``.
        denoise: 0, nothing is taken away, to 1.
    """
    if damage.clean and denoise > 0.5:
        return "The photo looks clean, so less denoising may keep more of it."
    if denoise >= 0.5:
        return None
    if damage.noise > NOISY:
        return "The photo looks noisy, so more denoising may help."
    if damage.blocking > BLOCKY:
        return "The photo shows JPEG blocks, so more denoising may help."
    if 0 < damage.sharpness < BLURRED:
        return "The photo looks blurred, so more denoising may help."
    return None
