"""Luma and colour differences against Pillow, and their samples against libjpeg's interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gramgan_cli.core.jpeg.planes import Halved, interpolated, original_samples, reduced, to_image, to_planes

NOISE = np.random.default_rng(3).integers(0, 256, (33, 47, 3), dtype=np.uint8)


def test_planes_are_those_of_pillow() -> None:
    expected = np.asarray(Image.fromarray(NOISE).convert("YCbCr")).transpose(2, 0, 1).astype(float)
    expected[1:] -= 128
    assert np.abs(to_planes(NOISE).numpy() - expected).max() < 1.01  # Pillow rounds to whole levels


def test_an_image_returns_from_its_planes() -> None:
    np.testing.assert_array_equal(to_image(to_planes(NOISE)), NOISE)


def triangular(samples: np.ndarray, axis: int) -> np.ndarray:
    """libjpeg's interpolation: each new sample is 3/4 of the nearer stored one and 1/4 of the next."""
    before = np.take(samples, np.maximum(np.arange(samples.shape[axis]) - 1, 0), axis)
    after = np.take(samples, np.minimum(np.arange(samples.shape[axis]) + 1, samples.shape[axis] - 1), axis)
    pairs = np.stack((0.75 * samples + 0.25 * before, 0.75 * samples + 0.25 * after), axis=axis + 1)
    shape = list(samples.shape)
    shape[axis] *= 2
    return pairs.reshape(shape)


@pytest.mark.parametrize("halved", [(True, True), (False, True), (True, False), (False, False)])
def test_the_stored_samples_are_found_from_interpolated_ones(halved: Halved) -> None:
    stored = np.random.default_rng(4).uniform(-60, 60, (2, 24, 16))
    decoded = stored
    for axis, half in enumerate(halved, start=1):
        decoded = triangular(decoded, axis) if half else decoded
    planes = torch.from_numpy(decoded).float()
    height, width = decoded.shape[1:]
    np.testing.assert_allclose(interpolated(torch.from_numpy(stored), halved, height, width), decoded, atol=1e-9)
    # White noise is the hardest case. What remains is below the steps that are looked for.
    rest = original_samples(planes, halved).numpy() - stored
    assert np.sqrt((rest**2).mean()) < 0.1 * np.sqrt(((reduced(planes, halved).numpy() - stored) ** 2).mean() + 1e-9)


def test_odd_sides_are_rounded_up() -> None:
    assert reduced(torch.zeros(2, 33, 47), (True, True)).shape == (2, 17, 24)
