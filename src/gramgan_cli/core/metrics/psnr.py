"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.metrics.luma import grey_pair, inside, luma_pair


def psnr_y(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return PSNR on Y in dB: 10 log10(255^2 / mean((Ysr - Yhr)^2)); infinite for equal images.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to crop from each side first (by convention, the scale).

    Raises:
        ValueError: another type or shape, or sides of ``2 * border`` or less.
    """
    return _psnr(*luma_pair(sr, hr, border))


def psnr_rgb(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return PSNR in dB over all samples of R, G and B. Arguments and errors as for ``psnr_y``.

    The result equals that for values in [0, 1] with a peak of 1.
    """
    return _psnr(*(image.astype(np.float64) for image in inside(sr, hr, border)))


def psnr_plane(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return PSNR in dB of the first channel, without conversion. Arguments and errors as for ``psnr_y``."""
    return _psnr(*(image[..., 0].astype(np.float64) for image in inside(sr, hr, border)))


def psnr_grey(sr: NDArray[np.uint8 | np.uint16], hr: NDArray[np.uint8 | np.uint16], border: int) -> float:
    """Return PSNR in dB of grey images (H, W, 1) of 8 or 16 bits; the peak is the dtype's largest value."""
    return _psnr(*grey_pair(sr, hr, border))


def _psnr(sr: NDArray[np.float64], hr: NDArray[np.float64]) -> float:
    error = float(np.mean((sr - hr) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
