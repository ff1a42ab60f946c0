"""LR as real photos are: blurred, resized, noisy, compressed, twice over (second order, Wang et al. 2021).

The order of a round is Real-ESRGAN's (blur, resize, noise, JPEG); the strengths are those of photos from the web and
from phones rather than of ruined ones, and each operation is left out now and then, so that a network learns to leave
alone what is not broken. JPEG goes through Pillow's encoder (libjpeg), with its chroma subsampling.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

RESAMPLING = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.LANCZOS,
)
"""What browsers, phones and editors reduce with; bicubic twice as often."""

BEST_QUALITY = 97
"""Of JPEG; above it nothing is visible."""

CONTEXT = 8
"""LR pixels around a crop that are degraded with it, so that its border looks like its inside."""


@dataclass(frozen=True)
class Degradation:
    """How strong, and how often. The defaults degrade nothing."""

    share: float = 0.0
    """Share of the crops that are degraded; the LR of the others is the plain reduction of the whole photo."""
    chance: float = 0.6
    """Of each operation in each round."""
    blur: float = 1.5
    """Largest deviation of the Gaussian blur, in pixels of the picture that it meets; each axis its own."""
    shrink: float = 0.5
    """Smallest side, over HR's, of the picture between the rounds."""
    noise: float = 6.0
    """Largest deviation of the Gaussian noise, in 8-bit levels."""
    quality: int = 45
    """Lowest JPEG quality."""


def _blur(image: Image.Image, largest: float, draw: np.random.Generator) -> Image.Image:
    """Gaussian (as Pillow makes it: three box filters), along each axis another deviation."""
    across, along = draw.uniform(0, largest, 2)
    return image.filter(ImageFilter.GaussianBlur((across, along)))


def _noise(image: Image.Image, largest: float, draw: np.random.Generator) -> Image.Image:
    """Gaussian noise, every other time the same in all channels, as the luma noise of phones is."""
    values = np.asarray(image, dtype=np.float32)
    channels = values.shape[2] if draw.random() < 0.5 else 1
    noise = draw.standard_normal((*values.shape[:2], channels), dtype=np.float32) * np.float32(draw.uniform(0, largest))
    return Image.fromarray(np.clip(np.rint(values + noise), 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, lowest: int, draw: np.random.Generator) -> Image.Image:
    """Through libjpeg, with chroma at half size three times out of four, as most writers have it."""
    packed = io.BytesIO()
    subsampling = "4:2:0" if draw.random() < 0.75 else "4:4:4"
    quality = int(draw.integers(lowest, BEST_QUALITY + 1))
    image.save(packed, format="JPEG", quality=quality, subsampling=subsampling)
    packed.seek(0)
    with Image.open(packed) as opened:
        return opened.convert("RGB")


def _resize(image: Image.Image, size: tuple[int, int], draw: np.random.Generator) -> Image.Image:
    """Antialiased, with one of the usual filters; ``size`` is (width, height)."""
    return image.resize(size, RESAMPLING[int(draw.integers(len(RESAMPLING)))])


def degrade(hr: NDArray[np.uint8], scale: int, strength: Degradation, draw: np.random.Generator) -> NDArray[np.uint8]:
    """A real photo's LR of ``hr``, after two rounds.

    Args:
        hr: RGB (H, W, 3), both sides multiples of ``scale``.
        scale: HR side over LR side.
        strength: limits and chances; its ``share`` is the caller's business.
        draw: where the randomness comes from; equal states give equal pictures.

    Returns:
        RGB (H / scale, W / scale, 3).
    """

    def happens() -> bool:
        return bool(draw.random() < strength.chance)

    image = Image.fromarray(hr)
    if happens():
        image = _blur(image, strength.blur, draw)
    if happens():
        side = draw.uniform(strength.shrink, 1.0)
        image = _resize(image, (max(1, round(image.width * side)), max(1, round(image.height * side))), draw)
    if happens():
        image = _noise(image, strength.noise, draw)
    if happens():
        image = _jpeg(image, strength.quality, draw)
    if happens():
        image = _blur(image, strength.blur / 2, draw)
    image = _resize(image, (hr.shape[1] // scale, hr.shape[0] // scale), draw)
    if happens():
        image = _noise(image, strength.noise / 2, draw)
    if happens():
        image = _jpeg(image, strength.quality, draw)
    return np.asarray(image)


def picture_draw(name: str, seed: int) -> np.random.Generator:
    """The randomness of one whole picture: a function of its file name and the seed."""
    return np.random.default_rng([seed, *os.fsencode(name)])


def degraded_crop(
    hr: NDArray[np.uint8],
    top: int,
    left: int,
    side: int,
    scale: int,
    strength: Degradation,
    draw: np.random.Generator,
) -> NDArray[np.uint8]:
    """The degraded LR of one crop of a photo, made with its surroundings.

    Args:
        hr: the photo, RGB (H, W, 3), both sides multiples of ``scale``.
        top, left, side: the crop in LR pixels.
        scale, strength, draw: see :func:`degrade`.

    Returns:
        RGB (side, side, 3).
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    first_row, first_column = max(0, top - CONTEXT), max(0, left - CONTEXT)
    last_row, last_column = min(height, top + side + CONTEXT), min(width, left + side + CONTEXT)
    window = hr[first_row * scale : last_row * scale, first_column * scale : last_column * scale]
    lr = degrade(window, scale, strength, draw)
    return lr[top - first_row : top - first_row + side, left - first_column : left - first_column + side]
