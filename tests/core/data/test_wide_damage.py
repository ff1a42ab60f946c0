"""The wide degradation model: kernels against SciPy, severity, named levels."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.data.damage import wide as wide_damage
from gramgan_cli.core.data.damage.strength import LEVELS, Degradation
from gramgan_cli.core.data.degradation import degrade, degraded_crop, picture_draw
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.recipes.load import load_recipe

WIDE = load_recipe("photo").degradation
HR = np.ascontiguousarray(data.chelsea()[:256, :320])
LR = make_lr(HR, 4)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in levels."""
    return float(np.sqrt(np.mean((a.astype(float) - b.astype(float)) ** 2)))


KERNELS = {
    "gaussian": wide_damage.gaussian_kernel(2.0, 1.0, 0.0, 1.0),
    "turned": wide_damage.gaussian_kernel(3.0, 0.7, 0.6, 0.6),
    "disc": wide_damage.disc_kernel(3.3),
    "motion": wide_damage.motion_kernel(8.0, 0.9),
    "ringing": wide_damage.ringing_kernel(1.7),
}


@pytest.mark.parametrize("name", KERNELS)
def test_blur_kernels_do_not_shift_the_picture(name: str) -> None:
    kernel = KERNELS[name]
    assert kernel.shape == (21, 21)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)


def test_the_gaussian_has_the_deviations_that_were_asked_for() -> None:
    line = np.arange(-10, 11)
    kernel = KERNELS["gaussian"]
    assert math.sqrt((kernel.sum(axis=0) * line**2).sum()) == pytest.approx(2, rel=0.01)
    assert math.sqrt((kernel.sum(axis=1) * line**2).sum()) == pytest.approx(1, rel=0.01)


def test_the_ringing_kernel_passes_what_is_below_its_cutoff() -> None:
    spectrum = np.abs(np.fft.fft2(np.pad(KERNELS["ringing"], (0, 43))))
    frequency = np.hypot(*np.meshgrid(*2 * [2 * np.pi * np.fft.fftfreq(64)]))
    assert spectrum[frequency < 1.2].min() > 0.8
    assert spectrum[frequency > 2.3].max() < 0.2


@pytest.mark.parametrize("name", KERNELS)
def test_the_fast_convolution_is_scipys(name: str) -> None:
    found = np.asarray(wide_damage.convolved(Image.fromarray(HR), KERNELS[name]))
    exact = ndimage.convolve(HR.astype(np.float64), KERNELS[name][:, :, None], mode="reflect")
    assert np.abs(found - np.clip(exact, 0, 255)).max() <= 0.51


def test_damage_grows_with_severity() -> None:
    means = [
        np.mean(
            [distance(degrade(HR, 4, replace(WIDE, severity=level), np.random.default_rng(i)), LR) for i in range(24)]
        )
        for level in (0.02, *LEVELS.values())
    ]
    assert means[0] < 4
    assert (np.diff(means) > 1).all(), means


def test_severity_is_drawn_anew_for_each_picture() -> None:
    far = [distance(degrade(HR, 4, WIDE, np.random.default_rng(i)), LR) for i in range(60)]
    assert np.quantile(far, 0.1) < 3
    assert np.quantile(far, 0.9) > 6


def test_equal_states_give_equal_pictures() -> None:
    once, again, other = (degrade(HR, 4, WIDE, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_a_crop_lies_where_the_plain_one_does() -> None:
    """No shift matches better than none, whatever was cropped, shifted and resized in between."""
    plain = LR.astype(float).mean(-1)
    mild = replace(WIDE, severity=LEVELS["mild"])
    for seed in range(12):
        crop = degraded_crop(HR, 7, 20, 44, 4, mild, np.random.default_rng(seed)).astype(float)
        here = {
            (dy, dx): distance(crop.mean(-1)[4:-4, 4:-4], plain[11 + dy : 47 + dy, 24 + dx : 60 + dx])
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        }
        assert min(here, key=lambda shift: here[shift]) == (0, 0)


def test_the_command_damages_at_a_level_by_name(tmp_path: Path) -> None:
    (tmp_path / "HR").mkdir()
    Image.fromarray(HR).save(tmp_path / "HR" / "cat.png")
    for level in LEVELS:
        words = ["data", "degrade", str(tmp_path / "HR"), str(tmp_path / level), "--level", level, "--seed", "3"]
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        expected = degrade(HR, 4, replace(WIDE, severity=LEVELS[level]), picture_draw("cat.png", 3))
        assert np.array_equal(np.asarray(Image.open(tmp_path / level / "cat.png")), expected)
    words = ["data", "degrade", str(tmp_path / "HR"), str(tmp_path / "x"), "--level", "mild", "--recipe", "photo-web"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, UsageError)


def test_the_web_model_is_untouched_by_severity() -> None:
    web = Degradation(share=1.0)
    draws = (np.random.default_rng(4) for _ in range(2))
    assert np.array_equal(
        *(degrade(HR, 4, replace(web, severity=s), d) for s, d in zip((0.0, 1.0), draws, strict=True))
    )
