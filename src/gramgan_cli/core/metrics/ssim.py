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
    """Return the 11 weights of the separable window, sigma 1.5, sum 1."""
    x = np.arange(WINDOW) - WINDOW // 2
    weight: NDArray[np.float64] = np.exp(-(x**2) / (2 * SIGMA**2))
    return weight / np.sum(weight)


def _local_mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Gaussian-weighted local means without padding: (H - 10, W - 10)."""
    from scipy.ndimage import correlate1d  # imported here: it takes 0.2 s, and upscaling does not need it

    margin = WINDOW // 2
    rows = correlate1d(image, gaussian_window(), axis=0)[margin:-margin]
    mean: NDArray[np.float64] = correlate1d(rows, gaussian_window(), axis=1)[:, margin:-margin]
    return mean


def ssim_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the SSIM map of two planes (H, W) in 0..255, (H - 10, W - 10) (equation 13 of the paper)."""
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x**2
    variance_y = _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance * structure


def ssim_y(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return mean SSIM on Y, at most 1: Gaussian 11x11 window of sigma 1.5, K1 0.01, K2 0.03, L 255, no padding.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to crop from each side first (by convention, the scale).

    Raises:
        ValueError: another type or shape, or a side below 11 px inside the border.
    """
    return float(np.mean(ssim_map(*luma_pair(sr, hr, border, smallest=WINDOW))))


def ssim_rgb(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return mean SSIM over R, G and B. Window, constants and errors as for ``ssim_y``.

    The result equals that for values in [0, 1] with L = 1, since the constants scale with L.
    """
    pair = inside(sr, hr, border, smallest=WINDOW)
    x, y = (image.astype(np.float64) for image in pair)
    return float(np.mean([np.mean(ssim_map(x[..., channel], y[..., channel])) for channel in range(3)]))


def ssim_grey(sr: NDArray[np.uint8 | np.uint16], hr: NDArray[np.uint8 | np.uint16], border: int) -> float:
    """Return mean SSIM of grey images (H, W, 1) of 8 or 16 bits; L is the dtype's largest value."""
    return float(np.mean(ssim_map(*grey_pair(sr, hr, border, smallest=WINDOW))))


def ssim_plane(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return mean SSIM of the first channel, without conversion. Window, constants, errors as for ``ssim_y``."""
    x, y = (image[..., 0].astype(np.float64) for image in inside(sr, hr, border, smallest=WINDOW))
    return float(np.mean(ssim_map(x, y)))
