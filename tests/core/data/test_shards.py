"""Training photos from tar shards: every photo is used, batches depend on seed and step only, exact resume."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.data.crops import CropSampler
from gramgan_cli.core.data.shards import Shards, ShardSampler, count_photos, find_shards, samples
from gramgan_cli.core.errors import GramganError

pytest.importorskip("webdataset", reason="needs the extra shards")

SIZES = (5, 3, 7)
"""Number of photos in each shard."""


def picture(number: int) -> bytes:
    """A flat photo whose colour is its number, so that any crop identifies its photo."""
    content = io.BytesIO()
    Image.fromarray(np.full((40, 44, 3), number * 10, np.uint8)).save(content, "PNG")
    return content.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three shards, written by tarfile; each photo has a caption, and one sample has no picture."""
    folder, number = tmp_path / "shards", 0
    folder.mkdir()
    for index, size in enumerate(SIZES):
        with tarfile.open(folder / f"train-{index:04}.tar", "w") as tar:
            add(tar, "readme.json", b"{}")
            for _ in range(size):
                add(tar, f"photo{number:03}.json", b"{}")
                add(tar, f"photo{number:03}.png", picture(number))
                number += 1
    return folder


def sampler_of(folder: Path, held_out: tuple[int, ...] = (), window: int = 4, steps: int = 3, seed: int = 0, **share):
    counted = count_photos(find_shards([str(folder)]), folder / "cache")
    return ShardSampler(
        counted, held_out, 4, window, steps, seed, lambda photos: CropSampler(photos, 4, 16, 8, seed, **share)
    )


def numbers(batch) -> list[int]:
    return [round(float(crop.mean()) * 255 / 10) for crop in batch.hr]


def test_shards_are_found_and_counted(shards, tmp_path):
    files = find_shards([str(shards)])
    assert files == find_shards([str(shards / "train-{0000..0002}.tar")]) == sorted(map(str, shards.glob("*.tar")))
    for _ in range(2):
        assert count_photos(files, tmp_path / "cache") == Shards(tuple(files), SIZES)
    assert [name for name, _ in samples(files[1])] == ["photo005.png", "photo006.png", "photo007.png"]
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(picture(0))
    assert find_shards([str(tmp_path / "pictures")]) == []
    assert find_shards([str(tmp_path / "pictures"), str(shards)]) == files


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"photos": []}', b"[" * 100_000])
def test_damaged_counts_are_made_again(content, shards, tmp_path):
    files = find_shards([str(shards)])
    count_photos(files, tmp_path)
    for remembered in tmp_path.glob("*.count.json"):
        remembered.write_bytes(content)
    assert count_photos(files, tmp_path) == Shards(tuple(files), SIZES)


def test_windows_walk_through_every_photo_once_an_epoch(shards):
    sampler = sampler_of(shards, window=5)
    for epoch in range(4):
        seen = [int(name[5:8]) for window in range(3 * epoch, 3 * epoch + 3) for name, _ in sampler.contents(window)]
        assert sorted(seen) == list(range(15))
        first = {0: range(5), 5: range(5, 8), 8: range(8, 15)}
        position = 0
        while position < 15:  # whole shards in random order, with their photos in order
            row = list(first[seen[position]])
            assert seen[position : position + len(row)] == row
            position += len(row)
    orders = {tuple(name for w in range(3 * e, 3 * e + 3) for name, _ in sampler.contents(w)) for e in range(8)}
    assert len(orders) > 2


def test_a_batch_depends_on_seed_and_step_only(shards):
    forward = list(sampler_of(shards).batches(0, 40))
    assert len({tuple(numbers(batch)) for batch in forward}) > 20
    for step in (0, 2, 3, 17, 39):
        again = sampler_of(shards).batch(step)
        assert torch.equal(again.hr, forward[step].hr)
        assert torch.equal(again.lr, forward[step].lr)
        assert again.names == forward[step].names
    for step, batch in enumerate(sampler_of(shards).batches(17, 25), 17):
        assert torch.equal(batch.hr, forward[step].hr)
    assert not torch.equal(sampler_of(shards, seed=1).batch(0).hr, forward[0].hr)
    for batch in forward:
        assert [f"photo{number:03}.png" for number in numbers(batch)] == list(batch.names)


def test_processes_share_the_batch_of_one(shards):
    whole = sampler_of(shards).batch(9)
    parts = [sampler_of(shards, share=(rank, 2)).batch(9) for rank in range(2)]
    assert torch.equal(torch.stack([part.hr for part in parts], 1).flatten(0, 1), whole.hr)


def test_held_out_photos_are_never_seen(shards):
    seen = {number for batch in sampler_of(shards, held_out=(0, 6, 14)).batches(0, 60) for number in numbers(batch)}
    assert seen == set(range(15)) - {0, 6, 14}


def test_damaged_shards_and_photos_are_named(shards, tmp_path):
    whole = (shards / "train-0000.tar").read_bytes()
    (shards / "train-0003.tar").write_bytes(whole[: whole.rindex(b"IHDR") + 9])
    with pytest.raises(GramganError, match=r"train-0003\.tar can't be read as a tar shard"):
        count_photos(find_shards([str(shards)]), tmp_path / "cache")
    with tarfile.open(shards / "train-0003.tar", "w") as tar:
        add(tar, "broken.png", b"no picture")
    with pytest.raises(GramganError, match=r"broken\.png can't be read"):
        list(sampler_of(shards).batches(0, 60))
    with pytest.raises(GramganError, match="There is no shard"):
        count_photos([str(tmp_path / "nowhere.tar")], tmp_path / "cache")


def train(*words: object):
    tiny = ["--arch", "compact", "--set", "network.nf=8", "--set", "network.nc=2", "--batch-size", "4"]
    call = ["train", "--recipe", "psnr", "--device", "cpu", "--threads", "1", "--hr-crop", "32", *tiny]
    result = CliRunner().invoke(
        app, [*call, *map(str, words), "--set", "data.window=4", "--set", "data.crops_per_photo=2"]
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("held_out", [False, True])
def test_a_resumed_run_ends_as_one_that_was_not_stopped(shards, tmp_path, held_out):
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid/a.png").write_bytes(picture(7))
    source = ["--hr-dir", shards] + ([] if held_out else ["--valid-dir", tmp_path / "valid"])
    train(*source, "--out", tmp_path / "whole", "--steps", 11)
    train(*source, "--out", tmp_path / "parts", "--steps", 5)
    train("--out", tmp_path / "parts", "--steps", 11, "--resume")
    whole, parts = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_the_plan_counts_the_photos(shards, tmp_path):
    result = train("--hr-dir", shards, "--out", tmp_path / "run", "--dry-run")
    plan = json.loads(result.stdout)
    assert (plan["photos"], plan["validation_photos"]) == (14, 1)
    assert "15 photos in 3 shards; 1 of them held out" in plan["data"]
