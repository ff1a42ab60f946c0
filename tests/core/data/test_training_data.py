"""Crops: aligned, from the LR of the whole photo, uniform, and the same for any number of processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gramgan_cli.core.data.crops import Batch, CropSampler, turn
from gramgan_cli.core.data.prepared import PreparedPhoto, prepare_photos, read_rgb
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.resize.matlab import make_lr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos of different sizes, one with an odd side and one rotated by EXIF."""
    rng = np.random.default_rng(1)
    for name, size in (("a.png", (67, 90)), ("b.png", (120, 64))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / name)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(rng.integers(0, 256, (64, 100, 3), dtype=np.uint8)).save(tmp_path / "c.png", exif=turned)
    return tmp_path


def test_prepared_photos_are_the_photos(folder: Path, tmp_path: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    for _ in range(2):  # made, then read from the cache
        photos = prepare_photos(paths, 4, tmp_path / "cache")
        assert [photo.hr.shape for photo in photos] == [(64, 88, 3), (120, 64, 3), (100, 64, 3)]
        original = np.asarray(Image.open(paths[0]))
        assert np.array_equal(photos[0].hr, original[:64, :88])
        assert np.array_equal(photos[0].lr, make_lr(original, 4))
        assert np.array_equal(photos[2].hr, np.rot90(np.asarray(Image.open(paths[2])), 3))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_grey_photos_keep_their_tones(suffix: str, tmp_path: Path) -> None:
    deep = np.random.default_rng(4).integers(0, 65536, (9, 11), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
    expected = np.floor(deep / 257 + 0.5)
    for channel in np.moveaxis(read_rgb(tmp_path / f"deep.{suffix}"), 2, 0):
        np.testing.assert_array_equal(channel, expected)


def test_a_changed_photo_is_prepared_anew(folder: Path, tmp_path: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    prepare_photos(paths, 4, tmp_path / "cache")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(paths[1])
    assert not prepare_photos(paths, 4, tmp_path / "cache")[1].hr.any()


def test_an_unreadable_photo_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").write_text("not a picture")
    with pytest.raises(GramganError, match=r"broken\.png"):
        prepare_photos(sorted(folder.glob("*.png")), 4, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.part"))


def _numbered(height: int, width: int) -> PreparedPhoto:
    """A photo whose LR pixels encode their own position, and HR pixels the position of their LR pixel."""
    rows, columns = np.mgrid[:height, :width]
    lr = np.stack((rows, columns, np.zeros_like(rows)), -1).astype(np.uint8)
    return PreparedPhoto("numbered.png", lr, lr.repeat(4, 0).repeat(4, 1))


def test_lr_and_hr_crops_lie_on_each_other() -> None:
    sampler = CropSampler([_numbered(40, 50)], 4, 32, 16, seed=3)
    for step in range(8):
        batch = sampler.batch(step)
        assert torch.equal(batch.lr.repeat_interleave(4, 2).repeat_interleave(4, 3), batch.hr)


def test_every_position_and_turn_comes_up_equally_often() -> None:
    sampler = CropSampler([_numbered(12, 11)], 4, 32, 500, seed=0)
    corners, turns = np.zeros((5, 4)), np.zeros(8)
    shapes = {turn(_numbered(8, 8).lr, which).tobytes(): which for which in range(8)}
    for step in range(16):
        for crop in (sampler.batch(step).lr * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy():
            top, left = crop[..., 0].min(), crop[..., 1].min()
            corners[top, left] += 1
            local = crop - np.array([top, left, 0], np.uint8)
            turns[shapes[local.tobytes()]] += 1
    for counts in (corners.ravel(), turns):
        expected = counts.sum() / counts.size
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square < counts.size - 1 + 5 * np.sqrt(2 * (counts.size - 1))


def test_shares_add_up_to_the_batch_of_one_process() -> None:
    photos = [_numbered(40, 50), _numbered(33, 60)]
    whole = CropSampler(photos, 4, 32, 6, seed=5).batch(11)
    parts = [CropSampler(photos, 4, 32, 6, seed=5, share=(rank, 2)).batch(11) for rank in range(2)]
    together = torch.stack([part.lr for part in parts], 1).flatten(0, 1)
    assert torch.equal(together, whole.lr)


@pytest.mark.parametrize(("crops", "asked", "sizes"), [(16, 5, [4, 3, 3, 3, 3]), (4, 2, [2, 2]), (3, 8, [1, 1, 1])])
def test_parts_hold_every_crop_once(crops: int, asked: int, sizes: list[int]) -> None:
    lr = torch.arange(crops).view(crops, 1, 1, 1).expand(crops, 3, 2, 2)
    batch = Batch(lr, 10 * lr, tuple(map(str, range(crops))), 100 * lr)
    parts = batch.parts(asked)
    assert [len(part.lr) for part in parts] == sizes
    assert torch.equal(torch.cat([part.lr for part in parts]), lr)
    for part in parts:
        assert torch.equal(part.hr, 10 * part.lr)
        assert torch.equal(part.ref, 100 * part.lr)
        assert part.names == tuple(str(int(crop[0, 0, 0])) for crop in part.lr)


def test_batches_yields_the_batch_of_each_step() -> None:
    sampler = CropSampler([_numbered(40, 50)], 4, 32, 2, seed=5)
    for step, batch in zip(range(4, 9), sampler.batches(4, 9), strict=True):
        assert torch.equal(batch.hr, sampler.batch(step).hr)


def test_photos_are_drawn_by_area() -> None:
    photos = [PreparedPhoto("small", *_sized(16, 16)), PreparedPhoto("large", *_sized(32, 24))]
    sampler = CropSampler(photos, 4, 32, 1000, seed=0)
    small = sum(name == "small" for step in range(8) for name in sampler.batch(step).names)
    assert abs(small / 8000 - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 8000)


def _sized(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((height, width, 3), np.uint8), np.zeros((4 * height, 4 * width, 3), np.uint8)


@pytest.mark.parametrize(("hr_crop", "word"), [(30, "multiple"), (400, "400 pixels")])
def test_impossible_crops_say_why(hr_crop: int, word: str) -> None:
    with pytest.raises(GramganError, match=word):
        CropSampler([_numbered(40, 50)], 4, hr_crop, 2, seed=5)
