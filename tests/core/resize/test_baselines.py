"""The interpolations against their definitions and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.core.resize.baselines import BASELINES, REACH


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", sorted(BASELINES))
@pytest.mark.parametrize("shape", [(1, 1), (7, 12)])
def test_four_times_larger_and_constant_stays_constant(name, shape):
    out = BASELINES[name](np.full((*shape, 3), 77, np.uint8))
    assert out.shape == (4 * shape[0], 4 * shape[1], 3)
    assert (out == 77).all()


def test_nearest_repeats_pixels():
    image = noise(5, 6)
    assert np.array_equal(BASELINES["nearest"](image), image.repeat(4, 0).repeat(4, 1))


def test_bilinear_is_the_triangle_between_pixel_centres():
    image = np.array([[[0] * 3, [80] * 3]], np.uint8)
    assert BASELINES["bilinear"](image)[0, :, 0].tolist() == [0, 0, 10, 30, 50, 70, 80, 80]


def test_grey_images_go_through():
    image = noise(6, 7)[:, :, 0]
    for name, function in BASELINES.items():
        assert function(image).shape == (24, 28), name


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_interpolations_do_not_reach_beyond_their_radius(name):
    image = noise(30, 30)
    changed = image.copy()
    changed[:, 15 + REACH + 1 :] ^= 255
    before, after = BASELINES[name](image), BASELINES[name](changed)
    assert np.array_equal(before[:, : 4 * 16], after[:, : 4 * 16])


@pytest.mark.parametrize(
    ("name", "psnr"), [("nearest", 26.25827), ("bilinear", 27.55999), ("bicubic", 28.43175), ("lanczos", 28.81372)]
)
def test_y_psnr_on_set5(shared_data, name, psnr):
    """Values from independent implementations; Y of BT.601, with a border of four pixels cut."""
    luma = np.array([65.481, 128.553, 24.966]) / 255
    values = []
    for path in sorted((shared_data / "Set5" / "HR").glob("*.png")):
        hr = np.asarray(Image.open(path).convert("RGB")).astype(float)
        sr = BASELINES[name](np.asarray(Image.open(shared_data / "Set5" / "LR_x4" / path.name).convert("RGB")))
        error = ((hr[: sr.shape[0], : sr.shape[1]] - sr) @ luma)[4:-4, 4:-4]
        values.append(10 * np.log10(255**2 / (error**2).mean()))
    assert np.mean(values) == pytest.approx(psnr, abs=2e-5)


@pytest.mark.parametrize("scale", [2, 3, 8])
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_other_factors(name, scale):
    """A ramp stays a ramp away from the border, and sizes scale by the factor."""
    ramp = np.repeat(np.arange(0, 240, 12, dtype=np.uint8)[None], 20, axis=0)
    out = BASELINES[name](ramp, scale)
    assert out.shape == (20 * scale, 20 * scale)
    inner = out[0, 6 * scale : -6 * scale].astype(float)
    exact = 12 * ((np.arange(6 * scale, 14 * scale) + 0.5) / scale - 0.5)
    assert np.max(np.abs(inner - exact)) <= (6 if name == "nearest" else 1.5)
