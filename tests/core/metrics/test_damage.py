"""Estimates of noise and JPEG blocking against known noise and compression."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jpeg_photos import compressed
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gramgan_cli.core.metrics.damage import Damage, advice, automatic_denoise, estimate_damage

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def photo(name: str = "chelsea.png") -> NDArray[Any]:
    return np.asarray(Image.open(EXAMPLES / name).convert("RGB"))


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_noise_on_a_slope_is_its_standard_deviation(sigma: float) -> None:
    slope = np.add.outer(np.linspace(60, 120, 300), np.linspace(0, 60, 400))
    noisy = slope + np.random.default_rng(1).normal(0, sigma, slope.shape)
    found = estimate_damage((noisy / 255).astype(np.float32)[:, :, None])
    # The flattest tenth of the cells is slightly below the mean of all.
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
        assert astuple(found) == pytest.approx(astuple(eight), abs=1e-3)


def blurred(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def noised(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    return np.clip(image + np.random.default_rng(3).normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def test_sharpness_of_white_noise_is_its_spectrum_s() -> None:
    # The Laplacian of white noise has 20 times its variance; averaging over 2 x 2 pixels leaves a quarter of it.
    noise = np.random.default_rng(5).normal(128, 20, (512, 512))
    assert estimate_damage((noise / 255).astype(np.float32)[:, :, None]).sharpness == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png"])
def test_blur_lowers_sharpness(name: str) -> None:
    found = [estimate_damage(blurred(photo(name), sigma)).sharpness for sigma in (0.0, 0.6, 1.0, 2.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.6
    assert found[2] < 0.5


def test_values_that_are_no_numbers_do_not_spoil_the_estimate() -> None:
    image = (photo() / 255).astype(np.float32)
    spoilt = image.copy()
    spoilt[5, 7], spoilt[9, 3] = np.nan, np.inf
    assert astuple(estimate_damage(spoilt)) == pytest.approx(astuple(estimate_damage(image)), abs=0.01)


def test_a_clean_photo_is_denoised_little_and_a_damaged_one_fully() -> None:
    image = photo()
    assert automatic_denoise(estimate_damage(image)) == 0.25
    for damaged in (blurred(image, 1.0), noised(image, 12), compressed(image, 60), compressed(blurred(image, 1.0), 75)):
        assert automatic_denoise(estimate_damage(damaged)) == 1.0
    assert automatic_denoise(Damage(2.0, 0.0, 0.8)) == 0.5, "fine texture, or a little grain"
    assert automatic_denoise(Damage(0.0, 0.0, 0.0)) == 1.0, "nothing is known"


@pytest.mark.parametrize("shape", [(1, 1, 3), (23, 400, 1), (24, 24, 2), (24, 24, 4)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_small_and_empty_pictures_have_no_damage(shape: tuple[int, int, int], value: int) -> None:
    assert estimate_damage(np.full(shape, value, np.uint8)) == Damage(0.0, 0.0, 0.0)


def test_the_grid_is_found_in_a_crop_of_a_large_photo() -> None:
    image = np.tile(photo(), (5, 4, 1))[:1500, :1700]
    assert estimate_damage(compressed(image, 40)).blocking > 0.4


def test_advice_follows_the_setting() -> None:
    image = photo()
    clean, damaged, blocks, soft = (
        estimate_damage(one) for one in (image, noised(image, 12), compressed(image, 40), blurred(image, 1.5))
    )
    assert "clean" in str(advice(clean, 1.0))
    assert advice(clean, 0.0) is None
    assert "noisy" in str(advice(damaged, 0.0))
    assert advice(damaged, 1.0) is None
    assert "JPEG" in str(advice(blocks, 0.2))
    assert "blurred" in str(advice(soft, 0.2))
    assert advice(soft, 1.0) is None
