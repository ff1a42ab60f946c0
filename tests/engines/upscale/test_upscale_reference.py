"""``gramgan upscale --ref``: results, tiles, attention pictures, errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_corpus import with_tifffile
from PIL import Image
from skimage import data
from typer.testing import CliRunner, Result

from gramgan_cli.cli.app import app
from gramgan_cli.cli.errors import explain
from gramgan_cli.core import archs
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.data.crops import to_tensor
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.upscale.reference import ReferenceUpscaler

SMALL = {"nf": 4, "blocks": [1, 1, 1, 1]}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["upscale", *arguments, "--device", "cpu"])


@pytest.fixture
def model(tmp_path: Path) -> TTSR:
    """A random TTSR in the store under the default name for --ref."""
    torch.manual_seed(0)
    path = tmp_path / "random.safetensors"
    save_weights(path, archs.build("ttsr", SMALL).state_dict(), WeightsHeader("ttsr", SMALL, 4, "CC0-1.0"))
    store.put("ttsr", path)
    network = load_model("ttsr").network
    assert isinstance(network, TTSR)
    return network


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, Path]:
    """An LR photo, and a larger HR picture that contains it as its reference."""
    hr = data.astronaut()[60:200, 140:340]
    photo, ref = tmp_path / "face.png", tmp_path / "other.png"
    Image.fromarray(make_lr(hr[20:120, 40:168], 4)).save(photo)
    Image.fromarray(hr).save(ref)
    return photo, ref


def test_the_result_is_the_network_s(model: TTSR, photos: tuple[Path, Path], tmp_path: Path) -> None:
    photo, ref = photos
    result = run(str(photo), "--ref", str(ref), "--json")
    assert result.exit_code == 0, result.exception
    facts = json.loads(result.stdout)
    assert facts["model"]["name"] == "ttsr"
    assert facts["results"][0]["tile"] == 0, "so small a picture is taken whole"
    sr = np.asarray(Image.open(tmp_path / "face_x4.png")).astype(int)
    with torch.no_grad():
        lr, reference = (to_tensor([np.asarray(Image.open(path))]) for path in photos)
        expected = (model(lr, reference)[0].permute(1, 2, 0) * 255).round().numpy().astype(int)
    assert sr.shape == (100, 128, 3)
    assert np.abs(sr - expected).max() <= 1


def test_tiles_with_the_whole_receptive_radius_change_nothing(model: TTSR) -> None:
    photo, ref = data.astronaut()[100:164, 100:190], data.chelsea()[:60, :70]
    descriptor = archs.describe("ttsr", SMALL)
    assert descriptor.receptive_radius < 64
    device = torch.device("cpu")
    whole, tiled = (
        np.concatenate(list(ReferenceUpscaler(model, descriptor, ref, device, tile).bands(photo))) for tile in (0, 16)
    )
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


def test_attention_shows_where_patches_came_from(model: TTSR, photos: tuple[Path, Path], tmp_path: Path) -> None:
    photo, ref = photos
    folder = tmp_path / "attention"
    result = run(str(photo), "--ref", str(ref), "--save-attention", str(folder))
    assert result.exit_code == 0, result.exception
    pictures = {path.stem: np.asarray(Image.open(path)) for path in folder.iterdir()}
    assert set(pictures) == {"face_where", "face_sure", "face_copied", "face_reference"}
    assert pictures["face_reference"].shape == (140, 200, 3)
    # The photo is in the reference at (20, 40), on the grid of 4, so most blocks come from there.
    where = pictures["face_where"][2::4, 2::4].astype(float) / 255
    x, y = where[..., 0] * 49, where[..., 1] * 34
    rows, columns = np.mgrid[0:25, 0:32]
    inner = (slice(4, -4), slice(4, -4))
    assert np.median(np.abs(x - columns - 10)[inner]) < 0.5
    assert np.median(np.abs(y - rows - 5)[inner]) < 0.5
    assert np.median(pictures["face_sure"][16:-16, 16:-16]) > 240
    hr = np.asarray(Image.open(ref)).astype(float)[20:120, 40:168]
    assert np.median(np.abs(pictures["face_copied"] - hr)[16:-16, 16:-16]) < 4
    again = run(str(photo), "--ref", str(ref), "--save-attention", str(folder), "-o", str(tmp_path / "new.png"))
    assert isinstance(again.exception, UsageError)
    assert not (tmp_path / "new.png").exists()


def test_attention_goes_on_after_a_stop_and_after_a_photo_that_fails(
    model: TTSR, photos: tuple[Path, Path], tmp_path: Path
) -> None:
    photo, ref = photos
    deep = tmp_path / "deep.tif"
    deep.write_bytes(with_tifffile(np.full((20, 24, 3), 0.5, np.float32)))
    words = [str(deep), str(photo), "--ref", str(ref), "--save-attention", str(tmp_path / "attention")]
    first = run(*words, "-o", str(tmp_path / "out"))
    assert first.exit_code == 1
    assert "deep.tif" in first.stderr
    assert (tmp_path / "attention" / "face_where.png").is_file()
    again = run(*words[1:], "-o", str(tmp_path / "out"), "--skip-existing")
    assert again.exit_code == 0, again.exception
    where, copied = (tmp_path / "attention" / f"face_{ending}.png" for ending in ("where", "copied"))
    where.write_text("mine")
    copied.unlink()
    again = run(*words[1:], "-o", str(tmp_path / "elsewhere"), "--skip-existing")
    assert again.exit_code == 0, again.exception
    assert where.read_text() == "mine"
    assert copied.is_file()


def test_look_up_in_tiles_equals_the_whole(model: TTSR) -> None:
    photo, ref = data.astronaut()[100:140, 100:170], data.chelsea()[:60, :70]
    descriptor, device = archs.describe("ttsr", SMALL), torch.device("cpu")
    whole, tiled = (ReferenceUpscaler(model, descriptor, ref, device, tile).look_up(photo) for tile in (0, 16))
    assert (whole.positions == tiled.positions).double().mean() > 0.995
    torch.testing.assert_close(whole.scores, tiled.scores, rtol=0, atol=1e-5)


def test_without_a_reference_model_the_error_says_how_to_get_one(photos: tuple[Path, Path]) -> None:
    photo, ref = photos
    assert "gramgan train --recipe ttsr-rec" in str(run(str(photo), "--ref", str(ref)).exception)


def test_mistakes_are_named(model: TTSR, photos: tuple[Path, Path], tmp_path: Path) -> None:
    photo, ref = photos
    for arguments, message in (
        (["--model", "ttsr"], r"'ttsr' needs a reference image\. Pass one with --ref"),
        (["--ref", str(tmp_path / "absent.png")], "absent.png"),
        (["--save-attention", str(tmp_path)], "--ref"),
    ):
        result = run(str(photo), *arguments)
        assert isinstance(result.exception, GramganError)
        assert re.search(message, explain(result.exception)), result.exception
    tiny = tmp_path / "tiny.png"
    Image.fromarray(np.zeros((9, 30, 3), np.uint8)).save(tiny)
    assert "30 x 9 pixels" in str(run(str(photo), "--ref", str(tiny)).exception)
    other = tmp_path / "plain.safetensors"
    facts = {"nf": 4, "nc": 1}
    save_weights(other, archs.build("compact", facts).state_dict(), WeightsHeader("compact", facts, 4))
    assert "takes no reference" in str(run(str(photo), "--ref", str(ref), "--model", str(other)).exception)
