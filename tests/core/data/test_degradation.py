"""Degraded LR: each operation measured alone, aligned crops, shares, and repeatability by seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.data.crops import CropOptions, CropSampler, degraded_photo
from gramgan_cli.core.data.damage.strength import BEST_QUALITY, Degradation
from gramgan_cli.core.data.degradation import degrade, degraded_crop
from gramgan_cli.core.data.prepared import PreparedPhoto
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

QUIET = Degradation(share=1.0, chance=1.0, blur=0.0, shrink=1.0, noise=0.0, quality=BEST_QUALITY)
"""All operations at their weakest, so that only JPEG at its best quality is left."""


@pytest.fixture(scope="module")
def photo() -> PreparedPhoto:
    hr = np.ascontiguousarray(data.chelsea()[:300, :448])
    return PreparedPhoto("chelsea.png", make_lr(hr, 4), hr)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in levels."""
    return float(np.sqrt(np.mean((a.astype(float) - b.astype(float)) ** 2)))


def mean_distance(photo: PreparedPhoto, strength: Degradation, draws: int = 12) -> float:
    return float(
        np.mean([distance(degrade(photo.hr, 4, strength, np.random.default_rng(i)), photo.lr) for i in range(draws)])
    )


def test_without_any_operation_only_the_reduction_is_left(photo: PreparedPhoto) -> None:
    filters = [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.BOX, Image.Resampling.LANCZOS]
    expected = [np.asarray(Image.fromarray(photo.hr).resize((112, 75), each)) for each in filters]
    met = set()
    for seed in range(40):
        lr = degrade(photo.hr, 4, Degradation(chance=0.0), np.random.default_rng(seed))
        met.add(next(i for i, one in enumerate(expected) if np.array_equal(one, lr)))
    assert met == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [("blur", 1.0, 8.0), ("shrink", 0.9, 0.02), ("noise", 5.0, 40.0), ("quality", BEST_QUALITY - 2, 5)],
)
def test_each_operation_degrades_the_more_the_stronger_it_is(
    photo: PreparedPhoto, name: str, weak: float, strong: float
) -> None:
    none = mean_distance(photo, QUIET)
    little, much = (mean_distance(photo, replace(QUIET, **{name: value})) for value in (weak, strong))
    assert none <= little + 0.3
    assert much > 1.3 * little


def test_noise_has_the_deviation_that_was_drawn(photo: PreparedPhoto) -> None:
    """On flat grey, after the last downscaling, noise of U(0, s / 2) has a mean deviation of s / 4."""
    flat = np.full((256, 256, 3), 128, np.uint8)
    only = Degradation(chance=1.0, blur=0.0, shrink=1.0, noise=32.0, quality=BEST_QUALITY)
    found = [float(degrade(flat, 4, only, np.random.default_rng(i)).astype(float).std()) for i in range(60)]
    # Downscaling averages the first round's noise: U(0, 32) over 16 pixels adds at most 8 in quadrature.
    assert 0.8 * 8 < np.mean(found) < 1.35 * 8


def test_equal_states_give_equal_pictures(photo: PreparedPhoto) -> None:
    strength = Degradation(share=1.0)
    once, again, other = (degrade(photo.hr, 4, strength, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (20, 31), (27, 64)])
def test_a_degraded_crop_lies_where_the_plain_one_does(photo: PreparedPhoto, top: int, left: int) -> None:
    """No shift matches better than none, apart from blurred noise."""
    plain = photo.lr.astype(float).mean(-1)
    for seed in range(8):
        crop = degraded_crop(photo.hr, top, left, 48, 4, Degradation(), np.random.default_rng(seed)).astype(float)
        inner = crop.mean(-1)[4:-4, 4:-4]
        here = {
            (dy, dx): distance(inner, ndimage.shift(plain, (dy, dx), order=1)[top + 4 :, left + 4 :][:40, :40])
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        }
        assert min(here, key=lambda shift: here[shift]) == (0, 0)


def test_a_share_of_the_crops_is_degraded_and_hr_never_is(photo: PreparedPhoto) -> None:
    plain = CropSampler([photo], 4, 64, 200, seed=1)
    mixed = CropSampler([photo], 4, 64, 200, seed=1, options=CropOptions(degradation=Degradation(share=0.75)))
    a, b = plain.batch(3), mixed.batch(3)
    assert a.hr.equal(b.hr)
    same = sum(bool(one.equal(two)) for one, two in zip(a.lr, b.lr, strict=True))
    assert 0.25 * 200 - 4 * 6.2 < same < 0.25 * 200 + 4 * 6.2  # binomial, four standard deviations
    assert b.lr.equal(mixed.batch(3).lr)


def test_processes_share_the_degraded_batch_of_one(photo: PreparedPhoto) -> None:
    strength = Degradation(share=1.0)
    whole = CropSampler([photo], 4, 64, 4, seed=2, options=CropOptions(degradation=strength)).batch(7)
    for rank in range(2):
        part = CropSampler([photo], 4, 64, 4, seed=2, share=(rank, 2), options=CropOptions(degradation=strength)).batch(
            7
        )
        assert part.lr.equal(whole.lr[rank::2])


def test_a_photo_is_degraded_the_same_way_in_every_run(photo: PreparedPhoto) -> None:
    first, second = (degraded_photo(photo, 4, Degradation(), seed=0) for _ in range(2))
    assert np.array_equal(first.lr, second.lr)
    assert first.hr is photo.hr
    assert first.lr.shape == photo.lr.shape


def test_the_recipe_holds_the_parameters() -> None:
    recipe = load_recipe("photo")
    assert 0 < recipe.degradation.share < 1
    assert merge(recipe, {"degradation": {"quality": 30}}).degradation.quality == 30
    with pytest.raises(UsageError, match=r"degradation\.noise"):
        merge(recipe, {"degradation": {"noize": 3.0}})


def test_the_command_writes_what_bench_reads(tmp_path: Path) -> None:
    (tmp_path / "HR").mkdir()
    Image.fromarray(data.chelsea()[:121, :160]).save(tmp_path / "HR" / "cat.png")
    words = ["data", "degrade", str(tmp_path / "HR"), str(tmp_path / "LR_x4"), "--seed", "3"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    written = np.asarray(Image.open(tmp_path / "LR_x4" / "cat.png"))
    expected = degraded_photo(
        PreparedPhoto("cat.png", written, np.ascontiguousarray(data.chelsea()[:120, :160])),
        4,
        load_recipe("photo-web").degradation,
        3,
    )
    assert np.array_equal(written, expected.lr)
    measured = CliRunner().invoke(app, ["bench", str(tmp_path), "--model", "bicubic"])
    assert measured.exit_code == 0, measured.output
