"""Second-order degradation of LR like that of real photos: blur, resize, noise and JPEG, twice (Wang et al. 2021).

The order within a round is Real-ESRGAN's. The strengths are those of photos from the web and from phones rather than of
ruined ones, and each operation is skipped at random, so that a network learns to keep what is undamaged. JPEG uses
Pillow's encoder (libjpeg), with its chroma subsampling.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gramgan_cli.core.data.damage.strength import BEST_QUALITY, Degradation

RESAMPLING = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.LANCZOS,
)
"""Filters that browsers, phones and editors use for reduction; bicubic is twice as likely."""


def _blur(image: Image.Image, largest: float, draw: np.random.Generator) -> Image.Image:
    """Blur with Pillow's Gaussian (three box filters), with a different standard deviation along each axis."""
    across, along = draw.uniform(0, largest, 2)
    return image.filter(ImageFilter.GaussianBlur((across, along)))


def _noise(image: Image.Image, largest: float, draw: np.random.Generator) -> Image.Image:
    """Add Gaussian noise, half the time equal in all channels, like the luma noise of phones."""
    values = np.asarray(image, dtype=np.float32)
    channels = values.shape[2] if draw.random() < 0.5 else 1
    noise = draw.standard_normal((*values.shape[:2], channels), dtype=np.float32) * np.float32(draw.uniform(0, largest))
    return Image.fromarray(np.clip(np.rint(values + noise), 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, lowest: int, draw: np.random.Generator) -> Image.Image:
    """Compress with libjpeg, with 4:2:0 chroma subsampling three times out of four, as most encoders do."""
    packed = io.BytesIO()
    subsampling = "4:2:0" if draw.random() < 0.75 else "4:4:4"
    quality = int(draw.integers(lowest, BEST_QUALITY + 1))
    image.save(packed, format="JPEG", quality=quality, subsampling=subsampling)
    packed.seek(0)
    with Image.open(packed) as opened:
        return opened.convert("RGB")


def _resize(image: Image.Image, size: tuple[int, int], draw: np.random.Generator) -> Image.Image:
    """Resize with antialiasing and a random common filter; ``size`` is (width, height)."""
    return image.resize(size, RESAMPLING[int(draw.integers(len(RESAMPLING)))])


def web_damaged(
    hr: NDArray[np.uint8], scale: int, strength: Degradation, draw: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the LR of ``hr`` after two rounds of degradation.

    Args:
        hr: RGB (H, W, 3), both sides multiples of ``scale``.
        scale: HR side over LR side.
        strength: limits and probabilities.
        draw: random generator; equal states give equal images.

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
