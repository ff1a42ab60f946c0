"""``gramgan bench``: published numbers, reports and errors."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import io
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.data.datasets import open_dataset
from gramgan_cli.core.errors import GramganError, TargetExists, UsageError
from gramgan_cli.core.metrics import psnr_y, ssim_y
from gramgan_cli.core.resize.matlab import imresize, make_lr, round_to_8bit
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.engines.measure import bench as engine
from gramgan_cli.engines.measure.enlargers import interpolation, open_enlargers
from gramgan_cli.engines.measure.report import busiest_position


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two HR pictures, one of them grey, without LR."""
    folder = tmp_path / "Tiny <set>"
    folder.mkdir()
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (120, 100, 3), dtype=np.uint8)).save(folder / "colour.png")
    Image.fromarray(random.integers(0, 256, (64, 64), dtype=np.uint8)).save(folder / "grey.png")
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small network with random weights."""
    torch.manual_seed(0)
    hyperparameters = {"nf": 8, "nc": 2}
    network = archs.build("compact", hyperparameters)
    save_weights(tmp_path / "tiny.safetensors", network.state_dict(), WeightsHeader("compact", hyperparameters, 4))
    return tmp_path / "tiny.safetensors"


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_bicubic_is_the_published_number(shared_data: Path) -> None:
    document = json.loads(run("Set5", "Set14", "--data-dir", shared_data, "--model", "bicubic", "--json"))
    found = {row["dataset"]: row for row in document["results"]}
    for name, psnr, ssim in (("Set5", 28.4318, 0.8113), ("Set14", 26.0928, 0.7049)):
        assert found[name]["psnr_y"] == pytest.approx(psnr, abs=0.001)
        assert found[name]["ssim_y"] == pytest.approx(ssim, abs=0.0001)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "lanczos"])
def test_pillow_rows_are_the_published_numbers(shared_data: Path, name: str) -> None:
    truth = json.loads((shared_data.parent / "GROUND_TRUTH.json").read_text())["bench"]["Set5"]
    document = json.loads(run("Set5", "--data-dir", shared_data, "--model", name, "--json"))
    row = document["results"][0]
    assert row["psnr_y"] == pytest.approx(truth["mean"][f"pillow_{name}"]["psnr_y_c4"], abs=1e-6)
    for image in row["images"]:
        expected = truth["per_image"][image["name"]][f"pillow_{name}"]
        assert image["ssim_y"] == pytest.approx(expected["ssim_y_c4"], abs=1e-8)


def test_json_has_the_promised_keys_and_the_means_of_its_images(dataset: Path, weights: Path) -> None:
    document = json.loads(
        run(dataset, "-m", "bicubic", "-m", weights, "--metric", "gram", "--metric", "spectrum", "--json")
    )
    assert document["scale"] == 4
    assert document["convention"]["border"] == 4
    assert document["grey_images"] == ["Tiny <set>/grey"]
    assert [(row["dataset"], row["model"]) for row in document["results"]] == [
        ("Tiny <set>", "bicubic"),
        ("Tiny <set>", "tiny"),
    ]
    for row in document["results"]:
        assert [image["name"] for image in row["images"]] == ["colour", "grey"]
        assert row["seconds"] > 0
        assert row["megapixels_per_second"] == pytest.approx((120 * 100 + 64 * 64) / 1e6 / row["seconds"])
        for key in ("psnr_y", "ssim_y", "gram_4", "gram_8", "gram_16", "spectrum"):
            assert row[key] == pytest.approx(sum(image[key] for image in row["images"]) / 2)


def test_saved_images_are_what_was_measured(dataset: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = json.loads(run(dataset, "-m", weights, "--save-images", out, "--json"))
    for image in document["results"][0]["images"]:
        sr = np.asarray(Image.open(out / "Tiny <set>" / "tiny" / f"{image['name']}.png"))
        hr = np.asarray(Image.open(dataset / f"{image['name']}.png").convert("RGB"))
        assert image["psnr_y"] == pytest.approx(psnr_y(sr, hr, 4), abs=1e-12)
        assert image["ssim_y"] == pytest.approx(ssim_y(sr, hr, 4), abs=1e-12)


def test_the_table_says_the_convention(dataset: Path) -> None:
    result = CliRunner().invoke(app, ["bench", str(dataset), "-m", "bicubic"], catch_exceptions=False)
    assert "PSNR Y" in result.stdout
    assert "Y of BT.601, not rounded; 4 px cut from each border" in result.stderr
    assert "Grey images count as RGB: Tiny <set>/grey." in result.stderr


class Pictures(html.parser.HTMLParser):
    """Collects the images and external references of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[np.ndarray] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert tag not in ("link", "script", "iframe"), "the page is to be self-contained"
        if tag == "img":
            kind, content = (values["src"] or "").split(",", 1)
            assert kind == "data:image/png;base64"
            self.images.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_report_shows_one_crop_of_every_version(dataset: Path, weights: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "deep" / "report.html", tmp_path / "out"
    run(dataset, "-m", weights, "-m", "lanczos", "--report", report, "--save-images", out)
    page = Pictures()
    page.feed(report.read_text(encoding="utf-8"))
    assert len(page.images) == 2 * 4
    hr = np.asarray(Image.open(dataset / "colour.png"))
    sr = np.asarray(Image.open(out / "Tiny <set>" / "tiny" / "colour.png"))
    where = [
        (top, left)
        for top in range(120 - 96 + 1)
        for left in range(100 - 96 + 1)
        if np.array_equal(hr[top : top + 96, left : left + 96], page.images[0])
    ]
    ((top, left),) = where
    assert np.array_equal(sr[top : top + 96, left : left + 96], page.images[2])
    assert page.images[4].shape == (64, 64, 3)
    assert any("Tiny <set>" in text for text in page.texts)
    assert any("counts as RGB" in text for text in page.texts)


def test_markdown_report_links_its_pictures(dataset: Path, tmp_path: Path) -> None:
    run(dataset, "-m", "bicubic", "-m", "nearest", "--metric", "spectrum", "--report", tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    links = [part.split(")")[0] for part in text.split("![](")[1:]]
    assert len(links) == 2 * 3
    assert Image.open(tmp_path / links[0]).size == (288, 288)
    assert "| Tiny <set> | bicubic |" in text
    assert "spectrum, dB" in text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are text")
def test_a_report_and_a_degradation_of_a_photo_with_an_undecodable_name(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    Image.effect_noise((64, 48), 60).save(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    run(folder, "-m", "nearest", "--report", tmp_path / "r.html")
    assert r"caf\udce9" in (tmp_path / "r.html").read_text(encoding="utf-8")
    done = CliRunner().invoke(app, ["data", "degrade", str(folder), str(tmp_path / "LR_x4")])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "LR_x4").iterdir())) == 1


def test_a_report_of_a_x2_model(dataset: Path, tmp_path: Path) -> None:
    facts = {"nf": 4, "nc": 1, "scale": 2}
    file = tmp_path / "two.safetensors"
    save_weights(file, archs.build("compact", facts).state_dict(), WeightsHeader("compact", facts, 2))
    run(dataset, "-m", file, "--report", tmp_path / "r.html")
    assert "bicubic" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_crop_lies_where_enlarging_fails() -> None:
    hr = np.zeros((300, 200, 3), np.uint8)
    plain = hr.copy()
    plain[210:230, 60:90] = 255
    top, left = busiest_position(hr, plain, 96)
    assert top <= 210
    assert top + 96 >= 230
    assert left <= 60
    assert left + 96 >= 90
    assert busiest_position(hr[:50, :40], plain[:50, :40], 96) == (0, 0)


def test_equal_pictures_are_null_in_json(tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    Image.fromarray(np.full((64, 64, 3), 80, np.uint8)).save(folder / "a.png")
    (row,) = json.loads(run(folder, "-m", "bicubic", "--json"))["results"]
    assert row["psnr_y"] is None
    assert row["ssim_y"] == pytest.approx(1)
    assert "inf" in run(folder, "-m", "bicubic")


def test_invalid_bench_arguments_are_refused(dataset: Path, weights: Path, tmp_path: Path) -> None:
    device = torch.device("cpu")

    def quiet(_text: str) -> None:
        pass

    with pytest.raises(UsageError, match="'bicubic' is listed twice"):
        open_enlargers(["bicubic", "bicubic"], device, "auto", quiet)
    with pytest.raises(UsageError, match=r"is a \.html, \.md, \.csv, \.tex file, not 'r\.pdf'"):
        run(dataset, "-m", "bicubic", "--report", tmp_path / "r.pdf")
    (tmp_path / "r.html").write_text("old")
    with pytest.raises(TargetExists, match=r"r\.html already exists"):
        run(dataset, "-m", "bicubic", "--report", tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text() == "old"
    with pytest.raises(GramganError, match="Did you mean"):
        run(dataset, "-m", "bicubik")


def test_nothing_is_replaced_unasked(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "Tiny <set>" / "nearest").mkdir(parents=True)
    precious = out / "Tiny <set>" / "nearest" / "grey.png"
    precious.write_bytes(b"precious")
    with pytest.raises(TargetExists, match=r"grey\.png already exists"):
        run(dataset, "-m", "nearest", "--save-images", out)
    assert precious.read_bytes() == b"precious"
    assert [path.name for path in precious.parent.iterdir()] == ["grey.png"]
    (tmp_path / "r_pictures").mkdir()
    with pytest.raises(TargetExists, match="r_pictures already exists"):
        run(dataset, "-m", "nearest", "--report", tmp_path / "r.md")
    run(dataset, "-m", "nearest", "--save-images", out, "--report", tmp_path / "r.md", "--overwrite")
    assert Image.open(precious).size == (64, 64)


def test_two_sets_of_one_name_are_refused(dataset: Path) -> None:
    with pytest.raises(UsageError, match="Tiny <set> is listed twice"):
        run(dataset, dataset, "-m", "nearest")


def test_references_reach_the_model_that_needs_them(dataset: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    hyperparameters = {"nf": 8, "blocks": [1, 1, 1, 1]}
    network = archs.build("ttsr", hyperparameters).eval()
    save_weights(tmp_path / "ref.safetensors", network.state_dict(), WeightsHeader("ttsr", hyperparameters, 4))
    pairs, out = tmp_path / "pairs", tmp_path / "out"
    pairs.mkdir()
    random = np.random.default_rng(0)
    hr, reference = (random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((64, 80), (52, 48)))
    Image.fromarray(hr).save(pairs / "x_in.png")
    Image.fromarray(reference).save(pairs / "x_ref.png")
    document = json.loads(
        run(pairs, "-m", tmp_path / "ref.safetensors", "-m", "bicubic", "--save-images", out, "--json")
    )
    lr = make_lr(hr, 4)
    with torch.inference_mode():
        inputs = (torch.tensor(image / 255, dtype=torch.float32).permute(2, 0, 1)[None] for image in (lr, reference))
        expected = network(*inputs)[0].permute(1, 2, 0).numpy() * 255
    sr = np.asarray(Image.open(out / "pairs" / "ref" / "x.png"))
    assert np.max(np.abs(sr - expected)) < 0.51
    assert document["results"][0]["psnr_y"] == pytest.approx(psnr_y(sr, hr, 4))
    with pytest.raises(GramganError, match=r"The model 'ref' needs references, and .* has none"):
        run(dataset, "-m", tmp_path / "ref.safetensors")


def test_mean_of_infinite_values_is_infinite(tmp_path: Path) -> None:
    """One of two pictures is flat, so its result is exact."""
    Image.fromarray(np.full((64, 64, 3), 80, np.uint8)).save(tmp_path / "flat.png")
    Image.effect_noise((64, 64), 60).save(tmp_path / "noise.png")
    measured = engine.bench([open_dataset(tmp_path, 4)], [interpolation("bicubic", 4)])
    assert measured.scores[0].values["psnr_y"] == math.inf
    assert math.isfinite(measured.scores[0].images[1].values["psnr_y"])


def test_pictures_that_can_not_be_measured_are_named_and_the_others_measured(tmp_path: Path) -> None:
    """Sizes are checked before anything is upscaled; damaged files fail when they are read."""
    for folder, side in (("HR", 64), ("LR_x4", 16)):
        (tmp_path / folder).mkdir()
        for name in "abcd":
            Image.effect_noise((side, side), 60).convert("RGB").save(tmp_path / folder / f"{name}.png")
    Image.new("RGB", (15, 16)).save(tmp_path / "LR_x4" / "b.png")
    whole = (tmp_path / "HR" / "c.png").read_bytes()
    (tmp_path / "HR" / "c.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (40, 18)).save(tmp_path / "HR" / "d.png")
    Image.new("RGB", (10, 4)).save(tmp_path / "LR_x4" / "d.png")
    result = CliRunner().invoke(app, ["bench", str(tmp_path), "-m", "bicubic", "-m", "nearest", "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [[image["name"] for image in row["images"]] for row in document["results"]] == [["a"], ["a"]]
    reasons = {failure["name"]: failure["reason"] for failure in document["failures"]}
    assert sorted(reasons) == ["b", "c", "d"]
    assert "b.png has 15x16 pixels, but the x4 LR image of" in reasons["b"]
    assert "c.png can't be read" in reasons["c"]
    assert "d.png has 40x16 pixels: measuring needs 19 on each side" in reasons["d"]
    text = str(CliRunner().invoke(app, ["bench", str(tmp_path), "-m", "bicubic", "--metric", "niqe"]).exception)
    assert "a.png has 64x64 pixels: niqe needs 200 on each side" in text
    assert text.endswith("And 1 more.")
    for reason in reasons.values():
        assert reason in result.stderr.replace("\n", "")


def test_sizes_are_checked_before_anything_is_enlarged(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 60).save(tmp_path / "a.png")
    Image.effect_noise((64, 12), 60).save(tmp_path / "b.png")
    plain = interpolation("bicubic", 4)
    sides: list[int] = []

    def enlarge(lr: np.ndarray, _reference: np.ndarray | None) -> np.ndarray:
        sides.append(lr.shape[1])
        return plain.enlarge(lr, None)

    dones: list[tuple[int, int]] = []
    measured = engine.bench(
        [open_dataset(tmp_path, 4)],
        [dataclasses.replace(plain, enlarge=enlarge)],
        on_progress=lambda done, total: dones.append((done, total)),
    )
    assert [failure.name for failure in measured.failures] == ["b"]
    assert sides == [16, 16]  # the warm-up, and a.png
    assert dones == [(2, 2)]


def test_a_dataset_without_one_good_picture_is_an_error(tmp_path: Path) -> None:
    Image.effect_noise((64, 12), 60).save(tmp_path / "b.png")
    with pytest.raises(GramganError, match=r"b\.png has 64x12 pixels"):
        engine.bench([open_dataset(tmp_path, 4)], [interpolation("bicubic", 4)])


def test_models_and_sets_of_one_name_are_told_apart_by_their_folders(weights: Path, tmp_path: Path) -> None:
    for run_name in "ab":
        (tmp_path / "runs" / run_name).mkdir(parents=True)
        shutil.copy(weights, tmp_path / "runs" / run_name / "last.safetensors")
        (tmp_path / "sets" / run_name / "test").mkdir(parents=True)
        Image.effect_noise((64, 64), 60).save(tmp_path / "sets" / run_name / "test" / "x.png")
    models = [tmp_path / "runs" / run_name / "last.safetensors" for run_name in "ab"]
    sets = [tmp_path / "sets" / run_name / "test" for run_name in "ab"]
    document = json.loads(run(*sets, "-m", models[0], "-m", models[1], "--save-images", tmp_path / "out", "--json"))
    assert [(row["dataset"], row["model"]) for row in document["results"]] == [
        (f"{folder}/test", f"{run_name}/last") for folder in "ab" for run_name in "ab"
    ]
    assert (tmp_path / "out" / "a" / "test" / "b" / "last" / "x.png").is_file()
    with pytest.raises(UsageError, match="List each only once"):
        run(sets[0], "-m", models[0], "-m", models[0].parent / ".." / "a" / "last.safetensors")


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_interpolations_by_other_factors(tmp_path: Path, scale: int) -> None:
    random = np.random.default_rng(0)
    hr = random.integers(0, 256, (97, 121, 3), dtype=np.uint8)
    Image.fromarray(hr).save(tmp_path / "a.png")
    (row,) = json.loads(run(tmp_path, "-m", "bicubic", "--scale", str(scale), "--json"))["results"]
    hr = hr[: 97 // scale * scale, : 121 // scale * scale]
    sr = round_to_8bit(imresize(make_lr(hr, scale).astype(np.float64), scale))
    assert row["psnr_y"] == pytest.approx(psnr_y(sr, hr, scale), abs=1e-9)
    assert row["ssim_y"] == pytest.approx(ssim_y(sr, hr, scale), abs=1e-9)


def test_a_scale_that_a_model_lacks_is_refused(dataset: Path, weights: Path) -> None:
    with pytest.raises(UsageError, match="'tiny' enlarges by 4, not by 2"):
        run(dataset, "-m", weights, "--scale", "2")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_are_not_replaced(dataset: Path, tmp_path: Path) -> None:
    """Neither by reports (with their further files) nor by pictures."""
    for name in ("r.html", "r_images.csv", "r.tex"):
        os.mkfifo(tmp_path / name)
    out = tmp_path / "out" / "Tiny <set>" / "nearest"
    out.mkdir(parents=True)
    os.mkfifo(out / "grey.png")
    for arguments in (
        ("--report", tmp_path / "r.html"),
        ("--report", tmp_path / "r.csv"),
        ("--report", tmp_path / "r.tex"),
        ("--save-images", tmp_path / "out"),
    ):
        with pytest.raises(GramganError, match="not a regular file"):
            run(dataset, "-m", "nearest", *arguments, "--overwrite")
    assert (out / "grey.png").is_fifo()


def test_metrics_by_name(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown names are refused; a plugin's function is measured like the others."""
    with pytest.raises(UsageError, match=r"no metric 'nique'\. Did you mean niqe"):
        run(dataset, "-m", "nearest", "--metric", "nique")
    plugin = tmp_path / "plugin.py"
    plugin.write_text("metrics = {'first_pixel': lambda sr, hr, border: float(sr[border, border, 0])}")
    monkeypatch.setenv("GRAMGAN_PLUGINS", str(plugin))
    out = tmp_path / "out"
    document = json.loads(run(dataset, "-m", "nearest", "--metric", "first_pixel", "--save-images", out, "--json"))
    for image in document["results"][0]["images"]:
        sr = np.asarray(Image.open(out / "Tiny <set>" / "nearest" / f"{image['name']}.png"))
        assert image["first_pixel"] == sr[4, 4, 0]
