"""Two distances between the texture of a result and of its HR image, independent of exact pixel positions; 0 is equal.

PSNR and SSIM reward smooth, safe results. These distances measure whether as much fine structure is present: the first
by the colour covariance of small patches, the second by the power at each spatial frequency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.metrics.luma import luma_pair

PATCH_SIZES = (4, 8, 16)
SMALLEST = 16
"""Least side of a picture inside the border for ``spectrum_distance``, in pixels."""
RINGS = 32
"""Rings of equal width between 0 and 0.5 cycles per pixel."""


def centred_grams(image: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """Return the mean-removed Gram matrix of every non-overlapping ``size`` x ``size`` patch, (patches, 3, 3).

    For a patch p of shape 3 x n (n = size^2 pixels, scaled to [0, 1]) with channel means m, G = (p - m)(p - m)^T / n.
    Dividing by n makes patch sizes comparable: G is the patch's colour covariance. A remainder at the right and bottom
    edges is not used.
    """
    rows, columns = image.shape[0] // size, image.shape[1] // size
    used = image[: rows * size, : columns * size].astype(np.float64) / 255
    patches = used.reshape(rows, size, columns, size, 3).transpose(0, 2, 1, 3, 4).reshape(-1, size * size, 3)
    centred = patches - patches.mean(axis=1, keepdims=True)
    grams: NDArray[np.float64] = centred.transpose(0, 2, 1) @ centred / size**2
    return grams


def gram_distance(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int, size: int) -> float:
    """Return the L1 distance of SR's and HR's mean-removed Gram matrices, averaged over patches and the nine entries.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to crop from each side first.
        size: side of the patches in pixels.

    Raises:
        ValueError: unequal shapes, or sides too short for one patch.
    """
    if sr.shape != hr.shape or min(sr.shape[:2]) < size + 2 * border:
        raise ValueError(
            f"expected equal shapes with sides of at least {size + 2 * border} px, got SR {sr.shape} and HR {hr.shape}"
        )
    inside = (slice(border, sr.shape[0] - border), slice(border, sr.shape[1] - border))
    return float(np.mean(np.abs(centred_grams(sr[inside], size) - centred_grams(hr[inside], size))))


def radial_spectrum(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean power in each non-empty ring of spatial frequency, (rings,), in squared 8-bit levels.

    The plane's mean is removed, and a Hann window w suppresses the image's edges. The power |FFT|^2 / sum(w^2) is then
    the variance density. The rounding noise of 8-bit samples, 1/12, is added as a floor, so that power below it does
    not count and zero power has a finite logarithm.
    """
    window = np.outer(np.hanning(plane.shape[0] + 2)[1:-1], np.hanning(plane.shape[1] + 2)[1:-1])
    power = np.abs(np.fft.fft2((plane - plane.mean()) * window)) ** 2 / np.sum(window**2) + 1 / 12
    radius = np.hypot(np.fft.fftfreq(plane.shape[0])[:, None], np.fft.fftfreq(plane.shape[1])[None, :])
    counted = (radius > 0) & (radius < 0.5)
    ring = (radius[counted] * 2 * RINGS).astype(np.int64)
    members = np.bincount(ring, minlength=RINGS)
    total = np.bincount(ring, weights=power[counted], minlength=RINGS)
    return np.asarray(total[members > 0] / members[members > 0])


def spectrum_distance(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> float:
    """Return the mean over rings of |10 log10(P_sr / P_hr)| in dB; P is the radial power spectrum of Y.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to crop from each side first.

    Raises:
        ValueError: another type, unequal shapes, or a side below ``SMALLEST`` inside the border.
    """
    y_sr, y_hr = luma_pair(sr, hr, border, smallest=SMALLEST)
    return float(np.mean(np.abs(10 * np.log10(radial_spectrum(y_sr) / radial_spectrum(y_hr)))))
