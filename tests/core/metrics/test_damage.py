"""The estimate of noise and JPEG blocks, against noise and compression that are known."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.metrics.damage import Damage, advice, estimate_damage

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def photo(name: str = "chelsea.png") -> NDArray[Any]:
    return np.asarray(Image.open(EXAMPLES / name).convert("RGB"))


def compressed(image: NDArray[Any], quality: int) -> NDArray[Any]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_noise_on_a_slope_is_its_standard_deviation(sigma: float) -> None:
    slope = np.add.outer(np.linspace(60, 120, 300), np.linspace(0, 60, 400))
    noisy = slope + np.random.default_rng(1).normal(0, sigma, slope.shape)
    found = estimate_damage((noisy / 255).astype(np.float32)[:, :, None])
    # The flattest tenth of the cells lies a little below the mean of all.
    assert 0.8 * sigma < found.noise < 1.02 * sigma


def test_noise_of_each_colour_counts_by_its_weight() -> None:
    grey = np.full((256, 256, 3), 128.0)
    noisy = grey + np.random.default_rng(2).normal(0, 10, grey.shape)
    expected = 10 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    assert estimate_damage(noisy.round().astype(np.uint8)).noise == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "brick.png"])
def test_stronger_compression_shows_more_blocks(name: str) -> None:
    image = photo(name)
    found = [estimate_damage(image).blocking] + [
        estimate_damage(compressed(image, quality)).blocking for quality in (90, 70, 50, 30)
    ]
    assert found == sorted(found)
    assert found[0] < 0.05
    assert found[-1] > 0.5


def test_depths_and_channels_agree() -> None:
    image = photo()
    eight = estimate_damage(image)
    for other in (image.astype(np.uint16) * 257, (image / 255).astype(np.float32), np.dstack((image, image[:, :, :1]))):
        found = estimate_damage(other)
        assert (found.noise, found.blocking) == pytest.approx((eight.noise, eight.blocking), abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (23, 400, 1), (24, 24, 2), (24, 24, 4)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_small_and_empty_pictures_have_no_damage(shape: tuple[int, int, int], value: int) -> None:
    assert estimate_damage(np.full(shape, value, np.uint8)) == Damage(0.0, 0.0)


def test_the_grid_is_found_in_a_crop_of_a_large_photo() -> None:
    image = np.tile(photo(), (5, 4, 1))[:1500, :1700]
    assert estimate_damage(compressed(image, 40)).blocking > 0.4


def test_advice_follows_the_setting() -> None:
    image = photo()
    noisy = np.clip(image + np.random.default_rng(3).normal(0, 12, image.shape), 0, 255).astype(np.uint8)
    clean, damaged, blocks = (estimate_damage(one) for one in (image, noisy, compressed(image, 40)))
    assert "clean" in str(advice(clean, 1.0))
    assert advice(clean, 0.0) is None
    assert "noisy" in str(advice(damaged, 0.0))
    assert advice(damaged, 1.0) is None
    assert "JPEG" in str(advice(blocks, 0.2))
