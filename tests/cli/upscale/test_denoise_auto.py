"""``--denoise auto``, and the note about photos that a setting does not suit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner

import gramgan_cli
from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import UsageError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "chelsea.png"
TORCH = ("--device", "cpu", "--backend", "torch")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a sharp photo and a blurred copy of it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    sharp = Image.open(EXAMPLE).convert("RGB").resize((150, 100), Image.Resampling.BICUBIC).crop((0, 0, 64, 64))
    sharp.save(folder / "sharp.png")
    sharp.filter(ImageFilter.GaussianBlur(1.2)).save(folder / "soft.png")
    return folder


def upscale(*words: object) -> Any:
    return CliRunner().invoke(app, ["upscale", *map(str, words), *TORCH])


def pixels(path: Any) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("output", [(), ("-o", "larger/")], ids=["beside", "folder with records"])
def test_each_photo_gets_what_it_needs(
    photos: Path, output: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = upscale(photos, *output, "--denoise", "auto", "--json")
    assert done.exit_code == 0, done.output
    assert "Running clean, clean-gan, photo and photo-gan (denoise auto, style" in done.stderr
    assert "looks" not in done.stderr
    document = json.loads(done.stdout)
    found = {Path(result["input"]).stem: result for result in document["results"]}
    assert {name: result["denoise"] for name, result in found.items()} == {"sharp": 0.25, "soft": 1.0}
    assert found["soft"]["sharpness"] < 0.5 < found["sharp"]["sharpness"]
    for name, result in found.items():
        fixed = upscale(photos / f"{name}.png", "-o", f"{name}.png", "--denoise", result["denoise"])
        assert fixed.exit_code == 0, fixed.output
        np.testing.assert_array_equal(pixels(result["output"]), pixels(f"{name}.png"))


def test_a_second_run_over_a_folder_finds_everything_done(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert upscale(photos, "-o", "larger/", "--denoise", "auto").exit_code == 0
    again = upscale(photos, "-o", "larger/", "--denoise", "auto")
    assert "0 upscaled, 2 skipped, 0 failed." in again.stderr
    other = upscale(photos, "-o", "larger/", "--denoise", "1")
    assert other.exit_code != 0, "results of another setting are not taken for these"


def test_frames_of_an_animation_get_one_setting(photos: Path, tmp_path: Path) -> None:
    frames = [Image.open(photos / f"{name}.png") for name in ("sharp", "soft")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    results = []
    for amount in ("auto", "0.25"):
        done = upscale(tmp_path / "a.webp", "-o", tmp_path / f"{amount}.webp", "--denoise", amount)
        assert done.exit_code == 0, done.output
        results.append((tmp_path / f"{amount}.webp").read_bytes())
    marks = [result.count(b"gramgan") for result in results]
    assert marks[0] == marks[1]
    with Image.open(tmp_path / "auto.webp") as first, Image.open(tmp_path / "0.25.webp") as second:
        for index in range(2):
            first.seek(index)
            second.seek(index)
            np.testing.assert_array_equal(np.asarray(first.convert("RGB")), np.asarray(second.convert("RGB")))


@pytest.mark.parametrize("output", [(), ("-o", "larger/")], ids=["beside", "folder with records"])
def test_one_note_a_run_where_a_setting_does_not_suit(
    photos: Path, output: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (photos / "sharp2.png").write_bytes((photos / "sharp.png").read_bytes())
    done = upscale(photos, *output, "--denoise", "1")
    assert done.stderr.count("looks clean") == 1
    assert "--denoise auto" in done.stderr
    quiet = upscale(photos, *output, "--denoise", "1", "--overwrite", "--quiet")
    assert "looks" not in quiet.output
    low = upscale(photos / "soft.png", "-o", tmp_path / "low.png", "--model", "clean")
    assert "looks blurred" in low.stderr


def test_models_outside_the_square_get_no_advice(photos: Path) -> None:
    done = CliRunner().invoke(app, ["upscale", str(photos), "--model", "lanczos", "--json"])
    assert "looks" not in done.stderr
    assert {result["denoise"] for result in json.loads(done.stdout)["results"]} == {None}


@pytest.mark.parametrize("amount", ["1.5", "-0.1", "much", "nan"])
def test_invalid_amounts_are_refused(photos: Path, amount: str) -> None:
    done = upscale(photos, "--denoise", amount)
    assert isinstance(done.exception, UsageError)


def test_denoise_auto_from_python(photos: Path) -> None:
    result = gramgan_cli.upscale(photos / "soft.png", denoise="auto", device="cpu", backend="torch")
    assert result.denoise == 1.0
    arrays = [pixels(photos / f"{name}.png") for name in ("sharp", "soft")]
    automatic = gramgan_cli.load(denoise="auto", device="cpu", backend="torch")
    fixed = gramgan_cli.load(denoise=0.25, device="cpu", backend="torch")
    np.testing.assert_array_equal(automatic(arrays[0]), fixed(arrays[0]))
    assert not np.array_equal(automatic(arrays[1]), fixed(arrays[1]))
