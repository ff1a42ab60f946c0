"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4), 2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.metrics.luma import grey_pair, inside, luma_pair

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def gaussian_window() -> NDArray[np.float64]:
    """The 11 weights of the separable window, sigma 1.5, sum 1."""
    x = np.arange(WINDOW) - WINDOW // 2
    weight: NDArray[np.float64] = np.exp(-(x**2) / (2 * SIGMA**2))
    return weight / np.sum(weight)


def _local_mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian-weighted mean around each pixel whose window lies inside the image: (H - 10, W - 10)."""
    from scipy.ndimage import correlate1d  # takes two tenths of a second, which upscaling need not wait for

    margin = WINDOW // 2
    rows = correlate1d(image, gaussian_window(), axis=0)[margin:-margin]
    mean: NDArray[np.float64] = correlate1d(rows, gaussian_window(), axis=1)[:, margin:-margin]
    return mean


def ssim_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """SSIM around each pixel of two planes in 0..255 (equation 13 of the paper); (H - 10, W - 10) from (H, W)."""
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x**2
    variance_y = _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance * structure


def ssim_y(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Mean SSIM on Y, at most 1: Gaussian 11x11 window of sigma 1.5, K1 0.01, K2 0.03, L 255, no padding.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to cut from each side before measuring (the scale, in the papers' convention).

    Raises:
        ValueError: for another type or shape, or where less than 11 px are left of a side.
    """
    return float(np.mean(ssim_map(*luma_pair(sr, hr, border, smallest=WINDOW))))


def ssim_rgb(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Mean SSIM over R, G and B, each measured as a plane; window, constants and errors as for ``ssim_y``.

    The same number as on values in [0, 1] with L = 1: the constants scale with L.
    """
    pair = inside(sr, hr, border, smallest=WINDOW)
    x, y = (image.astype(np.float64) for image in pair)
    return float(np.mean([np.mean(ssim_map(x[..., channel], y[..., channel])) for channel in range(3)]))


def ssim_grey(sr: NDArray[np.uint8 | np.uint16], hr: NDArray[np.uint8 | np.uint16], border: int) -> float:
    """Mean SSIM of grey pictures (H, W, 1) of 8 or 16 bits, L the type's largest value; window as for ``ssim_y``."""
    return float(np.mean(ssim_map(*grey_pair(sr, hr, border, smallest=WINDOW))))


def ssim_plane(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Mean SSIM of the first channel, taken as it is; window, constants and errors as for ``ssim_y``."""
    x, y = (image[..., 0].astype(np.float64) for image in inside(sr, hr, border, smallest=WINDOW))
    return float(np.mean(ssim_map(x, y)))
