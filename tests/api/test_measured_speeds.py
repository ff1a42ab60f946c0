"""Speeds of models on this computer: measured by ``bench``, kept in the cache, shown by ``gramgan models list``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import gramgan_cli as gg
from gramgan_cli.cli.app import app


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos whose results have 0.32 megapixels together."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (400, 400, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def speed_of(name: str) -> float | None:
    (row,) = [model for model in gg.models() if model.name == name]
    return row.speed.megapixels_per_second if row.speed else None


def listed() -> str:
    result = CliRunner().invoke(app, ["models", "list"], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_has_the_speed_that_bench_measured(photos: Path) -> None:
    assert speed_of("clean") is None
    assert "1 megapixel" not in listed()
    measured = gg.bench(photos, ["bicubic", "clean"])
    (score,) = [score for score in measured.scores if score.model == "clean"]
    assert score.megapixels == pytest.approx(0.32)
    expected = 0.32 / score.seconds
    assert speed_of("clean") == pytest.approx(expected)
    assert speed_of("photo") is None
    assert speed_of("bicubic") is None
    (line,) = [line for line in listed().splitlines() if re.match(r"\W*clean\b(?!-)", line)]
    assert f"{16 / expected:.3g} s" in line, "1 megapixel becomes 16"
    rows = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)["models"]
    assert {row["name"] for row in rows if "speed" in row} == {"clean"}


def test_a_speed_belongs_to_the_weights_and_not_to_the_name(photos: Path, tmp_path: Path) -> None:
    gg.import_model(gg.export_model("clean", tmp_path / "a.safetensors"), "mine", licence="MIT")
    gg.bench(photos, ["mine"])
    assert speed_of("mine") is not None
    gg.import_model(gg.export_model("photo", tmp_path / "b.safetensors"), "mine", licence="MIT", overwrite=True)
    assert speed_of("mine") is None


def test_pictures_that_are_too_small_measure_no_speed(tmp_path: Path) -> None:
    Image.new("RGB", (96, 96), (9, 99, 199)).save(tmp_path / "small.png")
    gg.bench(tmp_path, ["clean"])
    assert speed_of("clean") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": {"fast": 1}}'])
def test_a_damaged_file_of_speeds_is_as_good_as_none(private_folders: Path, photos: Path, content: str) -> None:
    file = private_folders / "cache" / "speeds.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    assert speed_of("clean") is None
    gg.bench(photos, ["clean"])
    assert speed_of("clean") is not None


def test_a_cache_that_can_not_be_written_does_not_fail_the_measurement(private_folders: Path, photos: Path) -> None:
    gg.models()  # fills the store
    (private_folders / "cache" / "speeds.json").mkdir(parents=True)
    measured = gg.bench(photos, ["clean"])
    assert [score.model for score in measured.scores] == ["clean"]
    assert speed_of("clean") is None
