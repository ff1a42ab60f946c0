"""Luma as papers measure it: BT.601 in the 16..235 range, not rounded, without the image's border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Y_OFFSET = 16.0
Y_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255.0
"""Weights of R, G and B in 0..255 (ITU-R BT.601; MATLAB's ``rgb2ycbcr`` without its rounding)."""


def luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 of an RGB image (H, W, 3) in 0..255: (H, W)."""
    return image.astype(np.float64) @ Y_WEIGHTS + Y_OFFSET


def inside(
    sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int, smallest: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Crop ``border`` pixels from every side of SR and HR, after checking both.

    Args:
        sr: (H, W, 3) ``uint8``.
        hr: the same shape and type.
        border: pixels to crop from each side, usually the scale.
        smallest: minimum side that must be left.

    Raises:
        ValueError: another type or shape, unequal shapes, or sides that are too short.
    """
    for name, image in (("SR", sr), ("HR", hr)):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"{name}: expected uint8 of shape (H, W, 3), got {image.dtype} of shape {image.shape}")
    if sr.shape != hr.shape:
        raise ValueError(f"SR has shape {sr.shape}, HR has shape {hr.shape}: expected equal shapes")
    least = smallest + 2 * border
    if border < 0 or min(sr.shape[:2]) < least:
        raise ValueError(f"expected sides of at least {least} px with a border of {border}, got shape {sr.shape}")
    kept = (slice(border, sr.shape[0] - border), slice(border, sr.shape[1] - border))
    return sr[kept], hr[kept]


def grey_pair(
    sr: NDArray[np.uint8 | np.uint16], hr: NDArray[np.uint8 | np.uint16], border: int, smallest: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Crop two grey images (H, W, 1) of 8 or 16 bits and return them as (H, W) in 0..255, not rounded.

    Raises:
        ValueError: another type or shape, unequal ones, or sides that are too short.
    """
    for name, image in (("SR", sr), ("HR", hr)):
        if image.ndim != 3 or image.shape[2] != 1 or image.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"{name}: expected grey of 8 or 16 bits (H, W, 1), got {image.dtype} of {image.shape}")
    if sr.shape != hr.shape or sr.dtype != hr.dtype:
        raise ValueError(
            f"SR is {sr.dtype} of {sr.shape}, HR is {hr.dtype} of {hr.shape}: expected equal types and shapes"
        )
    if border < 0 or min(sr.shape[:2]) < smallest + 2 * border:
        raise ValueError(f"expected sides of at least {smallest + 2 * border} px, got shape {sr.shape}")
    step = 257 if sr.dtype == np.uint16 else 1
    kept = (slice(border, sr.shape[0] - border), slice(border, sr.shape[1] - border), 0)
    return sr[kept].astype(np.float64) / step, hr[kept].astype(np.float64) / step


def luma_pair(
    sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int, smallest: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Y of both images, cropped. Arguments and errors are those of ``inside``."""
    cut_sr, cut_hr = inside(sr, hr, border, smallest)
    return luma(cut_sr), luma(cut_hr)
