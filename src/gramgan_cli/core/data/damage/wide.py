"""The wide degradation model: LR from nearly undamaged to old and repeatedly re-encoded photos.

It follows Real-ESRGAN's second-order model (Wang et al. 2021): blur, resize, noise and compression, twice, with the
last resize before or after the last compression. Three things differ. First, one severity per image bounds all
operations, because damage to a photo is correlated: with independent limits nearly every image would be ruined in some
way, and a network would not learn to trust clean ones. Second, noise that grows with brightness replaces Poisson noise,
which is slow to draw and looks the same from ten electrons up. Third, images may also be compressed as WebP or on
shifted JPEG grids, blurred by motion or defocus, and sharpened after reduction, as phones and web sites do.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import fft

from gramgan_cli.core.data.damage.strength import BEST_QUALITY, Degradation

FILTERS = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.HAMMING,
    Image.Resampling.LANCZOS,
)
"""Resizing filters; bicubic is twice as likely."""

RADIUS = 10
"""Radius of the kernels: 21 pixels a side, as in Real-ESRGAN."""

GROWTH = 0.2
"""Largest relative enlargement between the rounds, at full severity."""

WEBP = 0.15
"""Fraction of images compressed as WebP instead of JPEG."""

BLOCK = 8
"""Side of a JPEG block in pixels."""

Draw = np.random.Generator


def _offsets() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column offsets from a kernel's centre."""
    line = np.arange(-RADIUS, RADIUS + 1, dtype=np.float64)
    return line[:, None], line[None, :]


def gaussian_kernel(across: float, along: float, angle: float, shape: float) -> NDArray[np.float64]:
    """Return an anisotropic generalised Gaussian: exp(-(r^2 / 2)^shape), with r normalised by the standard deviations.

    Args:
        across, along: standard deviations in pixels, above 0.
        angle: angle of the first axis in radians.
        shape: 1 is the Gaussian; smaller values give a peak with long tails, larger ones a plateau (Wang et al. 2021,
            A.1).

    Returns:
        (21, 21), sum 1.
    """
    y, x = _offsets()
    turned_x, turned_y = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel = np.exp(-((((turned_x / across) ** 2 + (turned_y / along) ** 2) / 2) ** shape))
    return np.asarray(kernel / kernel.sum())


def disc_kernel(radius: float) -> NDArray[np.float64]:
    """Return a disc with a soft rim, the point spread function of defocus: (21, 21), sum 1."""
    y, x = _offsets()
    kernel = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)
    return np.asarray(kernel / kernel.sum())


def motion_kernel(length: float, angle: float) -> NDArray[np.float64]:
    """Return a straight line of ``length`` pixels, one pixel wide with soft sides: (21, 21), sum 1."""
    y, x = _offsets()
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(kernel / kernel.sum())


def ringing_kernel(cutoff: float) -> NDArray[np.float64]:
    """Return the ideal low-pass at ``cutoff`` rad/pixel, J1(c r) c / (2 pi r), which rings (Wang et al. 2021, 3.3)."""
    from scipy.special import j1

    y, x = _offsets()
    distance = np.hypot(y, x)
    distance[RADIUS, RADIUS] = 1
    kernel = cutoff * j1(cutoff * distance) / (2 * math.pi * distance)
    kernel[RADIUS, RADIUS] = cutoff**2 / (4 * math.pi)
    return np.asarray(kernel / kernel.sum())


def convolved(image: Image.Image, kernel: NDArray[np.float64]) -> Image.Image:
    """Convolve with a kernel of 21 pixels a side, with mirrored borders, by FFT."""
    values = np.asarray(image, dtype=np.float32)
    padded = np.pad(values, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="symmetric")
    size = [fft.next_fast_len(side, real=True) for side in padded.shape[:2]]
    spectrum = fft.rfft2(padded, s=size, axes=(0, 1))
    spectrum *= fft.rfft2(kernel.astype(np.float32), s=size)[:, :, None]
    result = fft.irfft2(spectrum, s=size, axes=(0, 1))[2 * RADIUS :, 2 * RADIUS :][: values.shape[0], : values.shape[1]]
    return _in_8_bits(result)


def _in_8_bits(values: NDArray[np.float32]) -> Image.Image:
    """Round and clip to 0..255."""
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _blur(image: Image.Image, largest: float, draw: Draw) -> Image.Image:
    """Blur in a random way (soft lens, defocus or motion) with a standard deviation of at most ``largest`` pixels."""
    strength = largest * draw.uniform(0.2, 1)
    angle, kind = draw.uniform(0, math.pi), draw.random()
    if kind < 0.4:
        return image.filter(ImageFilter.GaussianBlur(strength))
    if kind < 0.75:
        shape = draw.uniform(0.5, 1) if draw.random() < 0.5 else draw.uniform(1, 3)
        return convolved(image, gaussian_kernel(strength + 0.2, strength * draw.uniform(0.3, 1) + 0.2, angle, shape))
    if kind < 0.9:
        return convolved(image, disc_kernel(1.5 * strength))
    return convolved(image, motion_kernel(1 + 2.5 * strength, angle))


def _noise(image: Image.Image, largest: float, draw: Draw) -> Image.Image:
    """Add sensor noise, partly constant and partly growing with brightness, in colour or grey."""
    values = np.asarray(image, dtype=np.float32)
    deviation, of_light = np.float32(largest * draw.uniform(0.2, 1)), np.float32(draw.random())
    channels = values.shape[2] if draw.random() < 0.6 else 1
    noise = draw.standard_normal((*values.shape[:2], channels), dtype=np.float32)
    light = values.mean(axis=2, keepdims=True) / 255
    return _in_8_bits(values + noise * deviation * np.sqrt(1 - of_light + of_light * light))


def _compressed(image: Image.Image, lowest: float, draw: Draw) -> Image.Image:
    """Compress as JPEG or WebP and decode. The JPEG grid has a random offset, as in an image cropped afterwards."""
    quality = round(draw.uniform(lowest, lowest + 0.7 * (BEST_QUALITY - lowest)))
    packed = io.BytesIO()
    if draw.random() < WEBP:
        image.save(packed, format="WEBP", quality=quality, method=2)
        top = left = 0
    else:
        top, left = (int(begin) for begin in draw.integers(0, BLOCK, 2))
        values = np.pad(np.asarray(image), ((top, 0), (left, 0), (0, 0)), mode="edge")
        subsampling = "4:2:0" if draw.random() < 0.75 else "4:4:4"
        Image.fromarray(values).save(packed, format="JPEG", quality=quality, subsampling=subsampling)
    packed.seek(0)
    with Image.open(packed) as opened:
        return opened.convert("RGB").crop((left, top, left + image.width, top + image.height))


def _resized(image: Image.Image, size: tuple[int, int], severity: float, draw: Draw) -> Image.Image:
    """Resize with antialiasing and a random filter, sometimes with sharpening or ringing. ``size``: (width, height)."""
    image = image.resize(size, FILTERS[int(draw.integers(len(FILTERS)))])
    after = draw.random()
    if after < 0.15:
        return image.filter(ImageFilter.UnsharpMask(draw.uniform(0.5, 1.5), round(150 * severity * draw.random()), 0))
    if after < 0.3:
        return convolved(image, ringing_kernel(math.pi * draw.uniform(1 - 0.6 * severity, 1)))
    return image


def wide_damaged(
    hr: NDArray[np.uint8], scale: int, strength: Degradation, severity: float, draw: Draw
) -> NDArray[np.uint8]:
    """Return the LR of ``hr`` after two rounds of degradation.

    Args:
        hr: RGB (H, W, 3), both sides multiples of ``scale``.
        scale: HR side over LR side.
        strength: limits at full severity, and the probability of each operation.
        severity: 0 (little more than reduction) to 1.
        draw: random generator; equal states give equal images.

    Returns:
        RGB (H / scale, W / scale, 3).
    """
    blur, noise = strength.blur * severity, strength.noise * severity
    quality = BEST_QUALITY - (BEST_QUALITY - strength.quality) * severity
    small = hr.shape[1] // scale, hr.shape[0] // scale

    def happens() -> bool:
        return bool(draw.random() < strength.chance)

    image = Image.fromarray(hr)
    if happens():
        image = _blur(image, blur, draw)
    if happens():
        side = draw.uniform(1 - (1 - strength.shrink) * severity, 1 + GROWTH * severity)
        image = _resized(image, (max(1, round(image.width * side)), max(1, round(image.height * side))), severity, draw)
    if happens():
        image = _noise(image, noise, draw)
    if happens():
        image = _compressed(image, quality, draw)
    if happens():
        image = _blur(image, blur / 2, draw)
    last = draw.random() < 0.7
    if last:
        image = _resized(image, small, severity, draw)
    if happens():
        image = _noise(image, noise / 2, draw)
    if happens():
        image = _compressed(image, quality, draw)
    return np.asarray(image if last else _resized(image, small, severity, draw))
