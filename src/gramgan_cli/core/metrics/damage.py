"""Estimates of noise, JPEG blocking and blur from a photo alone, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.bt601 import LUMA
from gramgan_cli.core.images.samples import WHITE

BLOCK = 8
"""Side of JPEG blocks in pixels (ITU-T T.81)."""

SCALE_OF_MAD = 0.6744897501960817
"""Median of |x| for a standard normal distribution."""

LARGEST_SIDE = 768
"""Largest side in pixels that is examined; larger photos are cropped to their middle."""

CLIPPED = 2.0
"""Distance from black and white, in levels of 255, within which pixels count as clipped: they show no noise."""

CELL = 16
"""Side in pixels of the cells in which noise is estimated."""

FLATTEST = 0.1
"""Fraction of the cells that are taken to be flat. Grass and gravel look like noise, but rarely fill a photo."""

LEAST_NOISE, CLEAN_NOISE = 0.1, 1.5
"""Noise range of a clean photo. Above it there is grain or fine texture; below it, compression has smoothed even the
flattest cells."""

CLEAN_BLOCKING, CLEAN_SHARPNESS = 0.1, 0.6
"""Upper limit of blocking and lower limit of sharpness for a clean photo. Of 16 sharp photos at full, half and quarter
size, 70 % count as clean. Of the same photos after a blur of 1 pixel, noise of 3 levels or JPEG of quality 75, 0.5
%."""

NOISY, BLOCKY, BLURRED = 4.0, 0.3, 0.5
"""A photo above the first two or below the last counts as damaged. The limits correspond to noise of 5 levels, JPEG of
quality 60 and a Gaussian blur of 1 pixel."""

AUTOMATIC = (0.25, 0.5, 1.0)
"""Denoising strength for clean photos, for photos with grain or fine texture and no other damage, and for all others:
the values closest to the original on average, see docs/models.md."""


@dataclass(frozen=True)
class Damage:
    """Estimated damage of a photo."""

    noise: float
    """Standard deviation of the luma noise, in levels of 255."""
    blocking: float
    """Relative excess of steps across the edges of 8 x 8 blocks over other steps: 0 for none, 1 for twice as large."""
    sharpness: float
    """Mean fine detail relative to that of the photo at half size: 0.6 to 1 in sharp photos, 0.4 after a blur of 1
    pixel, more than 1 with noise. 0 if there is no detail."""

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
    """Estimate noise, blocking and sharpness of a photo.

    Noise is the median absolute value of the finest diagonal detail in the flattest cells (Donoho and Johnstone 1994,
    "Ideal spatial adaptation by wavelet shrinkage"). The mask of Immerkaer 1996, "Fast noise variance estimation", does
    not respond to lines and planes. Blocking compares steps across the JPEG block grid with those at the seven other
    positions, after Wang, Sheikh and Bovik 2002, "No-reference perceptual quality assessment of JPEG compressed
    images", in one figure. Sharpness compares the mean absolute Laplacian with that at half size. In sharp photos
    amplitudes fall as 1 / f (Field 1987), so it hardly depends on the photo's size.

    Args:
        image: (H, W, C) uint8, uint16 or float32 in [0, 1]; grey or RGB. Alpha is ignored.

    Returns:
        The estimates; all 0 for a photo with a side below 24 pixels.
    """
    height, width = image.shape[:2]
    if min(height, width) < 3 * BLOCK:
        return Damage(0.0, 0.0, 0.0)
    # Crop from the middle, aligned with the block grid.
    top, left = (max(0, side - LARGEST_SIDE) // 2 // BLOCK * BLOCK for side in (height, width))
    part = image[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]
    colours = part[:, :, :3] if part.shape[2] >= 3 else part[:, :, :1]
    if colours.dtype == np.float32:
        colours = np.clip(np.nan_to_num(colours), 0, 1)
    levels = colours.astype(np.float32) * np.float32(255 / WHITE[image.dtype])
    luma = levels @ np.array(LUMA, np.float32) if levels.shape[2] == 3 else levels[:, :, 0]
    return Damage(_noise(luma), max(_blocking(luma), _blocking(luma.T)), _sharpness(luma))


def automatic_denoise(damage: Damage) -> float:
    """Return the automatic denoising strength for a photo, from 0 (none) to 1."""
    clean, grainy, any_other = AUTOMATIC
    return clean if damage.clean else grainy if damage.grainy else any_other


def _sharpness(luma: NDArray[np.float32]) -> float:
    """Return the mean |Laplacian| relative to that of the image averaged over 2 x 2 pixels."""
    height, width = (side // 2 * 2 for side in luma.shape)
    half = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    coarse = _detail(half)
    return _detail(luma) / coarse if coarse > 0 else 0.0


def _detail(luma: NDArray[np.float32]) -> float:
    """Return the mean |Laplacian|."""
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float(np.abs(4 * luma[1:-1, 1:-1] - around).mean(dtype=np.float64))


def _noise(luma: NDArray[np.float32]) -> float:
    """Return the noise's standard deviation from the median |Immerkaer mask| per cell.

    The mask's squared weights sum to 36.
    """
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
    """Return the excess of steps across vertical block edges over those at other positions, relative to the mean step.

    The result is at least 0.
    """
    step = np.abs(np.diff(luma, axis=1))
    # Subtract the mean of the neighbouring steps, so that smooth slopes have no excess.
    excess = step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2
    means = np.array([excess[:, position::BLOCK].mean(dtype=np.float64) for position in range(BLOCK)])
    usual = step.mean(dtype=np.float64)
    # Position p of ``excess`` is the step between columns p + 1 and p + 2, so block edges are at p = 6.
    others = np.delete(means, BLOCK - 2)
    return float(max(0.0, (means[BLOCK - 2] - others.mean()) / usual)) if usual > 0 else 0.0


def advice(damage: Damage, denoise: float) -> str | None:
    """Return a one-sentence warning if the denoising strength does not suit the photo, else None.

    Args:
        damage: from ``estimate_damage``.
        denoise: strength from 0 (none) to 1.
    """
    if damage.clean and denoise > 0.5:
        return "The photo looks clean, so less denoising may keep more detail."
    if denoise >= 0.5:
        return None
    if damage.noise > NOISY:
        return "The photo looks noisy, so more denoising may help."
    if damage.blocking > BLOCKY:
        return "The photo shows JPEG blocks, so more denoising may help."
    if 0 < damage.sharpness < BLURRED:
        return "The photo looks blurred, so more denoising may help."
    return None
