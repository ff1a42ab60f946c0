"""NIQE, the Naturalness Image Quality Evaluator (Mittal, Soundararajan and Bovik, IEEE SPL 20(3), 2013).

NIQE needs no HR image. It measures how far an image's local statistics are from those of undistorted photographs.
``niqe_parameters.npz`` holds the authors' model of such photographs; its terms are in NIQE-NOTICE.txt beside it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import gamma

from gramgan_cli.core.metrics.luma import luma
from gramgan_cli.core.resize.matlab import imresize

Plane = NDArray[np.float64]

BLOCK = 96
"""Side of the blocks at full size, in pixels."""
SMALLEST = 2 * BLOCK
"""Smallest side in pixels: a covariance needs at least two blocks along each side."""
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Offsets of the neighbours for paired products: right, below, and the two diagonals."""
SHAPES: Plane = np.arange(0.2, 10.001, 0.001)
"""Candidates for the shape parameter of the asymmetric generalised Gaussian."""


def niqe(image: NDArray[np.uint8], border: int) -> float:
    """Return NIQE of an image. Smaller is more natural; photographs lie between about 2 and 6.

    Args:
        image: (H, W, 3) ``uint8``. Its Y, rounded to 8 bits, is measured.
        border: pixels to crop from each side first.

    Raises:
        ValueError: a side inside the border is below 192 px.
    """
    height, width = (side - 2 * border for side in image.shape[:2])
    if min(height, width) < SMALLEST:
        raise ValueError(f"expected sides of at least {SMALLEST + 2 * border} px, got shape {image.shape}")
    rows, columns = height // BLOCK * BLOCK, width // BLOCK * BLOCK
    plane = np.round(luma(image[border : border + rows, border : border + columns]))
    half = imresize(plane / 255, 0.5) * 255
    features = np.hstack([block_features(plane, BLOCK), block_features(half, BLOCK // 2)])
    return _distance_from_natural(features)


def block_features(plane: Plane, side: int) -> Plane:
    """Return the features of each non-overlapping ``side`` x ``side`` block, (blocks, 18) (equations 4 to 10)."""
    normalised = _normalised(plane)
    rows, columns = (length // side for length in plane.shape)
    blocks = normalised.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    return np.array([_features(block) for block in blocks])


def _features(block: Plane) -> Plane:
    """Return the 18 features of one block."""
    shape, left, right = asymmetric_gaussian(block)
    found = [shape, (left + right) / 2]
    for shift in SHIFTS:
        shape, left, right = asymmetric_gaussian(block * np.roll(block, shift, axis=(0, 1)))
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        found += [shape, mean, left, right]
    return np.array(found)


def asymmetric_gaussian(values: Plane) -> tuple[float, float, float]:
    """Fit an asymmetric generalised Gaussian by moment matching; return its shape, left scale and right scale.

    Lasmar, Stitou and Berthoumieu, ICIP 2009. Returns NaN if all values have the same sign.
    """
    negative, positive = values[values < 0], values[values > 0]
    if not negative.size or not positive.size:
        return float("nan"), float("nan"), float("nan")
    left, right = np.sqrt(np.mean(negative**2)), np.sqrt(np.mean(positive**2))
    ratio = left / right
    moments = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = float(SHAPES[np.argmin((_moment_ratios() - wanted) ** 2)])
    factor = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, float(left * factor), float(right * factor)


@lru_cache(maxsize=1)
def _moment_ratios() -> Plane:
    """Return Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a)) for every candidate shape a."""
    ratios: Plane = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
    return ratios


def _normalised(plane: Plane) -> Plane:
    """Equation 1: subtract the local mean, divide by the local standard deviation plus 1."""
    mean = _blurred(plane)
    deviation = np.sqrt(np.abs(_blurred(plane**2) - mean**2))
    normalised: Plane = (plane - mean) / (deviation + 1)
    return normalised


def _blurred(plane: Plane) -> Plane:
    """Blur with a 7 x 7 Gaussian of sigma 7/6; edge pixels are repeated outwards."""
    window = np.exp(-(np.arange(-3.0, 4.0) ** 2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    rows: Plane = correlate1d(plane, window, axis=0, mode="nearest")
    blurred: Plane = correlate1d(rows, window, axis=1, mode="nearest")
    return blurred


def _distance_from_natural(features: Plane) -> float:
    """Equation 11: distance between Gaussian fits of the image's blocks and of undistorted photographs."""
    mean, covariance = natural_model()
    kept = features[~np.isnan(features).any(axis=1)]
    if len(kept) < 2:
        return float("nan")
    apart = mean - np.nanmean(features, axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(kept, rowvar=False)) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


@lru_cache(maxsize=1)
def natural_model() -> tuple[Plane, Plane]:
    """Return the mean (36,) and covariance (36, 36) of the features of undistorted photographs."""
    with (resources.files("gramgan_cli.core.metrics") / "niqe_parameters.npz").open("rb") as file:
        stored = np.load(file)
        return stored["mean"], stored["covariance"]
