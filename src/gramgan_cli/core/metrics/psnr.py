"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.metrics.luma import luma_pair


def psnr_y(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """PSNR on Y in dB: 10 log10(255^2 / mean((Ysr - Yhr)^2)); infinite for equal images.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to cut from each side before measuring (the scale, in the papers' convention).

    Raises:
        ValueError: for another type or shape, or sides of ``2 * border`` or less.
    """
    y_sr, y_hr = luma_pair(sr, hr, border)
    error = float(np.mean((y_sr - y_hr) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
