"""NIQE, the Naturalness Image Quality Evaluator (Mittal, Soundararajan and Bovik, IEEE SPL 20(3), 2013).

It needs no HR image: it measures how far a picture's local statistics lie from those of undistorted photographs.
``niqe_parameters.npz`` holds the authors' model of such photographs; NIQE-NOTICE.txt beside it has their terms.
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
"""Side of the blocks whose statistics are taken, at full size."""
SMALLEST = 2 * BLOCK
"""Least side: with fewer than two blocks along each side there is no covariance to speak of."""
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Neighbours whose products are taken: right, below, and the two diagonals."""
SHAPES: Plane = np.arange(0.2, 10.001, 0.001)
"""Candidates for the shape parameter of the asymmetric generalised Gaussian."""


def niqe(image: NDArray[np.uint8], border: int) -> float:
    """NIQE of a picture; smaller is more natural, photographs lie between about 2 and 6.

    Args:
        image: (H, W, 3) ``uint8``. Its Y, rounded to 8 bit, is measured.
        border: pixels to cut from each side before.

    Raises:
        ValueError: sides of less than 192 px inside the border.
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
    """(blocks, 18): equations 4 to 10 of the paper for each non-overlapping ``side`` x ``side`` block."""
    normalised = _normalised(plane)
    rows, columns = (length // side for length in plane.shape)
    blocks = normalised.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    return np.array([_features(block) for block in blocks])


def _features(block: Plane) -> Plane:
    """The 18 numbers of one block."""
    shape, left, right = asymmetric_gaussian(block)
    found = [shape, (left + right) / 2]
    for shift in SHIFTS:
        shape, left, right = asymmetric_gaussian(block * np.roll(block, shift, axis=(0, 1)))
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        found += [shape, mean, left, right]
    return np.array(found)


def asymmetric_gaussian(values: Plane) -> tuple[float, float, float]:
    """Shape, left and right scale of the asymmetric generalised Gaussian of ``values``, by matching moments.

    Lasmar, Stitou and Berthoumieu, ICIP 2009. NaN where all values have one sign.
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
    """Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a)) of every candidate shape a."""
    ratios: Plane = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
    return ratios


def _normalised(plane: Plane) -> Plane:
    """Equation 1: each pixel less its local mean, divided by its local deviation plus 1."""
    mean = _blurred(plane)
    deviation = np.sqrt(np.abs(_blurred(plane**2) - mean**2))
    normalised: Plane = (plane - mean) / (deviation + 1)
    return normalised


def _blurred(plane: Plane) -> Plane:
    """A Gaussian window of 7 x 7, sigma 7/6; the edge pixel is repeated outwards."""
    window = np.exp(-(np.arange(-3.0, 4.0) ** 2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    rows: Plane = correlate1d(plane, window, axis=0, mode="nearest")
    blurred: Plane = correlate1d(rows, window, axis=1, mode="nearest")
    return blurred


def _distance_from_natural(features: Plane) -> float:
    """Equation 11: the distance of two Gaussians, of the picture's blocks and of undistorted photographs."""
    mean, covariance = natural_model()
    kept = features[~np.isnan(features).any(axis=1)]
    if len(kept) < 2:
        return float("nan")
    apart = mean - np.nanmean(features, axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(kept, rowvar=False)) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


@lru_cache(maxsize=1)
def natural_model() -> tuple[Plane, Plane]:
    """Mean (36,) and covariance (36, 36) of the features of undistorted photographs."""
    with (resources.files("gramgan_cli.core.metrics") / "niqe_parameters.npz").open("rb") as file:
        stored = np.load(file)
        return stored["mean"], stored["covariance"]
