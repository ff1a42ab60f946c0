"""Tar shards and folders in one run, and sources with weights."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.photo_set import count_photos, read_photos, split_photos
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """A shard of four photos and a folder of two, all of one size; and one validation photo."""
    pytest.importorskip("webdataset", reason="needs the extra shards")
    rng = np.random.default_rng(0)

    def photo() -> Image.Image:
        return Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))

    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "a.tar", "w") as tar:
        for number in range(4):
            packed = io.BytesIO()
            photo().save(packed, "PNG")
            entry = tarfile.TarInfo(f"s{number}.png")
            entry.size = len(packed.getvalue())
            tar.addfile(entry, io.BytesIO(packed.getvalue()))
    for folder, names in (("folder", ("f0", "f1")), ("valid", ("v0",))):
        (tmp_path / folder).mkdir()
        for name in names:
            photo().save(tmp_path / folder / f"{name}.png")
    return [str(tmp_path / name) for name in ("shards", "folder")]


@pytest.mark.parametrize(("weights", "share"), [((), 1 / 3), ((1.0, 1.0), 1 / 2), ((1.0, 3.0), 3 / 4)])
def test_shards_and_folders_give_crops_by_their_weights(
    weights: tuple[float, ...], share: float, sources: list[str], tmp_path: Path
) -> None:
    """2 000 crops: without weights, two of six photos are in the folder; 5 % tolerance is more than four sigma."""
    data = {"hr_dir": sources, "weights": list(weights), "valid_dir": str(tmp_path / "valid"), "hr_crop": 32}
    recipe = merge(load_recipe("psnr"), {"data": data, "batch_size": 2000})
    photos = read_photos(recipe, 4, TrainCallbacks(), Group())
    names = Counter(name[0] for name in photos.sampler.batch(0).names)
    assert abs(names["f"] / 2000 - share) < 0.05
    assert names["f"] + names["s"] == 2000
    assert count_photos(recipe, 4)[:2] == (6, 1)


def test_folders_alone_give_crops_by_their_weights(sources: list[str], tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "valid", tmp_path / "other")
    folders = [sources[1], str(tmp_path / "other")]
    data = {"hr_dir": folders, "weights": [1.0, 4.0], "valid_dir": str(tmp_path / "valid"), "hr_crop": 32}
    recipe = merge(load_recipe("psnr"), {"data": data, "batch_size": 2000})
    names = Counter(name[0] for name in read_photos(recipe, 4, TrainCallbacks(), Group()).sampler.batch(0).names)
    assert abs(names["v"] / 2000 - 4 / 5) < 0.05


def drawn(recipe: Recipe) -> set[str]:
    """Names of the photos that 200 crops come from."""
    sampler = read_photos(merge(recipe, {"batch_size": 200}), 4, TrainCallbacks(), Group()).sampler
    return {Path(name).stem for name in sampler.batch(0).names}


def test_photos_for_validation_are_not_trained_on(sources: list[str], tmp_path: Path) -> None:
    """They lie below the training folder."""
    shutil.move(tmp_path / "valid", tmp_path / "folder" / "check")
    data = {"hr_dir": [sources[1]], "valid_dir": str(tmp_path / "folder" / "check"), "hr_crop": 32}
    recipe = merge(load_recipe("psnr"), {"data": data})
    assert drawn(recipe) == {"f0", "f1"}
    trained, validated, line = count_photos(recipe, 4)
    assert (trained, validated) == (2, 1)
    assert "1 more is only for validation" in line
    beside_shards = merge(recipe, {"data": {**data, "hr_dir": sources}})
    assert "v0" not in drawn(beside_shards)


def test_a_folder_given_twice_is_held_out_in_both(sources: list[str]) -> None:
    recipe = merge(load_recipe("psnr"), {"data": {"hr_dir": [sources[1]] * 2, "hr_crop": 32}})
    split = split_photos(recipe, 4)
    assert not set(split.train.hr) & set(split.valid.hr)
    assert (len(split.train.hr), len(split.valid.hr)) == (2, 1)


def test_several_shards_can_not_be_weighted_apart(sources: list[str], tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "shards", tmp_path / "more")
    data = {"hr_dir": [sources[0], str(tmp_path / "more"), sources[1]], "weights": [1.0, 2.0, 3.0], "hr_crop": 32}
    recipe = merge(load_recipe("psnr"), {"data": data})
    with pytest.raises(UsageError, match="one source of tar shards"):
        count_photos(recipe, 4)


def test_a_window_of_held_out_photos_is_passed_over(sources: list[str]) -> None:
    data = {"hr_dir": [sources[0]], "hr_crop": 32, "window": 1, "crops_per_photo": 1}
    recipe = merge(load_recipe("psnr"), {"data": data, "batch_size": 1})
    sampler = read_photos(recipe, 4, TrainCallbacks(), Group()).sampler
    names = [sampler.batch(step).names[0] for step in range(8)]
    assert len(set(names)) == 3  # of four photos, one is held out
    again = read_photos(recipe, 4, TrainCallbacks(), Group()).sampler
    assert [again.batch(step).names[0] for step in range(8)] == names


def test_given_lr_can_not_be_rotated(sources: list[str], tmp_path: Path) -> None:
    for name in ("f0", "f1"):
        photo = Image.open(tmp_path / "folder" / f"{name}.png")
        for folder, image in (("HR", photo), ("LR_x4", photo.resize((16, 16)))):
            (tmp_path / "pairs" / folder).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "pairs" / folder / f"{name}.png")
    data = {"hr_dir": [str(tmp_path / "pairs")], "hr_crop": 32, "rotation": 10.0}
    with pytest.raises(UsageError, match=r"data\.rotation needs LR images that are made from HR"):
        split_photos(merge(load_recipe("psnr"), {"data": data}), 4)
