"""Tar shards and folders in one run, and sources with weights."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.photo_set import count_photos, read_photos
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe


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
    folders = [sources[1], str(tmp_path / "valid")]
    data = {"hr_dir": folders, "weights": [1.0, 4.0], "valid_dir": str(tmp_path / "valid"), "hr_crop": 32}
    recipe = merge(load_recipe("psnr"), {"data": data, "batch_size": 2000})
    names = Counter(name[0] for name in read_photos(recipe, 4, TrainCallbacks(), Group()).sampler.batch(0).names)
    assert abs(names["v"] / 2000 - 4 / 5) < 0.05
