"""Texture distances against explicit loops, and their properties."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from gramgan_cli.core.metrics import gram_distance, spectrum_distance
from gramgan_cli.core.metrics.texture import radial_spectrum

Pixels = NDArray[np.uint8]


def noise(height: int, width: int, seed: int, spread: float = 40.0) -> Pixels:
    values = np.random.default_rng(seed).normal(128, spread, (height, width, 3))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def plain_gram(image: Pixels, top: int, left: int, size: int) -> list[list[float]]:
    """Gram matrix of one patch, entry by entry."""
    pixels = [[float(v) / 255 for v in image[top + i, left + j]] for i in range(size) for j in range(size)]
    mean = [math.fsum(pixel[c] for pixel in pixels) / len(pixels) for c in range(3)]
    return [
        [math.fsum((p[a] - mean[a]) * (p[b] - mean[b]) for p in pixels) / len(pixels) for b in range(3)]
        for a in range(3)
    ]


@pytest.mark.parametrize(("size", "border"), [(4, 0), (4, 3), (8, 2), (16, 1)])
def test_gram_distance_equals_its_definition(size: int, border: int) -> None:
    sr, hr = noise(37, 43, 1), noise(37, 43, 2, 25)
    errors = []
    for top in range(border, 37 - border - size + 1, size):
        for left in range(border, 43 - border - size + 1, size):
            a, b = (plain_gram(image, top, left, size) for image in (sr, hr))
            errors += [abs(a[i][j] - b[i][j]) for i in range(3) for j in range(3)]
    assert gram_distance(sr, hr, border, size) == pytest.approx(math.fsum(errors) / len(errors), rel=1e-12)


def test_gram_distance_knows_no_brightness_but_knows_contrast() -> None:
    hr = noise(32, 32, 3, 15)
    assert gram_distance(hr + 20, hr, 0, 8) == pytest.approx(0, abs=1e-15)
    half = ((hr.astype(int) - 128) // 2 + 128).astype(np.uint8)
    assert gram_distance(half, hr, 0, 8) > 0.001


def test_spectrum_equals_a_plain_fourier_sum() -> None:
    plane = np.random.default_rng(4).normal(100, 20, (9, 12))
    height, width = plane.shape
    window = [
        [
            (0.5 - 0.5 * math.cos(2 * math.pi * (i + 1) / (height + 1)))
            * (0.5 - 0.5 * math.cos(2 * math.pi * (j + 1) / (width + 1)))
            for j in range(width)
        ]
        for i in range(height)
    ]
    mean = float(plane.mean())
    weight = math.fsum(w * w for row in window for w in row)
    rings: dict[int, list[float]] = {}
    for u in range(height):
        for v in range(width):
            fu, fv = (u if 2 * u < height else u - height) / height, (v if 2 * v < width else v - width) / width
            radius = math.hypot(fu, fv)
            if 0 < radius < 0.5:
                total = sum(
                    (plane[i, j] - mean) * window[i][j] * cmath.exp(-2j * math.pi * (u * i / height + v * j / width))
                    for i in range(height)
                    for j in range(width)
                )
                rings.setdefault(int(radius * 64), []).append(abs(total) ** 2 / weight + 1 / 12)
    expected = [math.fsum(rings[ring]) / len(rings[ring]) for ring in sorted(rings)]
    assert radial_spectrum(plane) == pytest.approx(expected, rel=1e-10)


def test_white_noise_has_its_variance_in_every_ring() -> None:
    plane = np.random.default_rng(5).normal(0, 30, (512, 512))
    assert np.max(np.abs(radial_spectrum(plane)[4:] / 900 - 1)) < 0.1


def test_spectrum_distance_of_half_the_contrast_is_six_decibels() -> None:
    steps = np.random.default_rng(6).integers(-8, 9, (64, 64, 3))
    strong, weak = (np.asarray(128 + factor * steps, np.uint8) for factor in (8, 4))
    assert spectrum_distance(weak, strong, 0) == pytest.approx(20 * math.log10(2), abs=0.05)


def test_texture_lost_and_texture_moved() -> None:
    """Both distances measure the loss of fine structure; the spectrum ignores its position."""
    hr = noise(96, 96, 7)
    blurred = gaussian_filter(hr.astype(float), (1.2, 1.2, 0)).round().astype(np.uint8)
    other = noise(96, 96, 8)
    for size in (4, 8, 16):
        assert gram_distance(blurred, hr, 4, size) > 1.3 * gram_distance(other, hr, 4, size)
    assert spectrum_distance(blurred, hr, 4) > 10 * spectrum_distance(other, hr, 4)
    assert spectrum_distance(hr, hr, 4) == 0


def test_flat_pictures_have_finite_distances() -> None:
    flat = np.full((32, 32, 3), 90, np.uint8)
    assert spectrum_distance(flat, flat, 0) == 0
    assert math.isfinite(spectrum_distance(flat, noise(32, 32, 9), 0))


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"at least 24 px, got SR \(23, 40, 3\)"):
        gram_distance(noise(23, 40, 1), noise(23, 40, 2), 4, 16)
    with pytest.raises(ValueError, match="at least 24 px"):
        spectrum_distance(noise(23, 40, 1), noise(23, 40, 2), 4)
