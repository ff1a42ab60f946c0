"""``gramgan bench``: the published numbers, and what it writes."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import math
import os
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
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.metrics import psnr_y, ssim_y
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.engines.measure import bench as engine
from gramgan_cli.engines.measure.enlargers import open_enlargers
from gramgan_cli.engines.measure.report import busiest_place


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two HR pictures, one of them grey; LR is made."""
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
    """Collects images and outside references of a page."""

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
def test_a_report_and_a_degradation_of_a_photo_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    Image.effect_noise((64, 48), 60).save(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    run(folder, "-m", "nearest", "--report", tmp_path / "r.html")
    assert r"caf\udce9" in (tmp_path / "r.html").read_text(encoding="utf-8")
    done = CliRunner().invoke(app, ["data", "degrade", str(folder), str(tmp_path / "LR_x4")])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "LR_x4").iterdir())) == 1


def test_a_report_of_a_model_that_doubles(dataset: Path, tmp_path: Path) -> None:
    facts = {"nf": 4, "nc": 1, "scale": 2}
    file = tmp_path / "two.safetensors"
    save_weights(file, archs.build("compact", facts).state_dict(), WeightsHeader("compact", facts, 2))
    run(dataset, "-m", file, "--report", tmp_path / "r.html")
    assert "bicubic" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_crop_lies_where_enlarging_fails() -> None:
    hr = np.zeros((300, 200, 3), np.uint8)
    plain = hr.copy()
    plain[210:230, 60:90] = 255
    top, left = busiest_place(hr, plain, 96)
    assert top <= 210
    assert top + 96 >= 230
    assert left <= 60
    assert left + 96 >= 90
    assert busiest_place(hr[:50, :40], plain[:50, :40], 96) == (0, 0)


def test_equal_pictures_are_null_in_json(tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    Image.fromarray(np.full((64, 64, 3), 80, np.uint8)).save(folder / "a.png")
    (row,) = json.loads(run(folder, "-m", "bicubic", "--json"))["results"]
    assert row["psnr_y"] is None
    assert row["ssim_y"] == pytest.approx(1)
    assert "inf" in run(folder, "-m", "bicubic")


def test_what_cannot_be_measured_is_refused(dataset: Path, weights: Path, tmp_path: Path) -> None:
    device = torch.device("cpu")

    def quiet(_text: str) -> None:
        pass

    with pytest.raises(UsageError, match="names 'bicubic' twice"):
        open_enlargers(["bicubic", "bicubic"], device, "auto", quiet)
    Image.fromarray(np.zeros((18, 40, 3), np.uint8)).save(dataset / "small.png")
    with pytest.raises(GramganError, match=r"small\.png has 40x16 pixels: measuring needs 19"):
        engine.bench([open_dataset(dataset, 4)], open_enlargers(["bicubic"], device, "auto", quiet))
    with pytest.raises(UsageError, match=r"writes \.html or \.md"):
        run(dataset, "-m", "bicubic", "--report", tmp_path / "r.pdf")
    (tmp_path / "r.html").write_text("old")
    with pytest.raises(UsageError, match="--overwrite"):
        run(dataset, "-m", "bicubic", "--report", tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text() == "old"
    with pytest.raises(GramganError, match="Did you mean"):
        run(dataset, "-m", "bicubik")


def test_nothing_is_replaced_unasked(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "Tiny <set>" / "nearest").mkdir(parents=True)
    precious = out / "Tiny <set>" / "nearest" / "grey.png"
    precious.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"grey\.png exists already"):
        run(dataset, "-m", "nearest", "--save-images", out)
    assert precious.read_bytes() == b"precious"
    assert [path.name for path in precious.parent.iterdir()] == ["grey.png"]
    (tmp_path / "r_pictures").mkdir()
    with pytest.raises(UsageError, match="r_pictures exists already"):
        run(dataset, "-m", "nearest", "--report", tmp_path / "r.md")
    run(dataset, "-m", "nearest", "--save-images", out, "--report", tmp_path / "r.md", "--overwrite")
    assert Image.open(precious).size == (64, 64)


def test_two_sets_of_one_name_are_refused(dataset: Path) -> None:
    with pytest.raises(UsageError, match="are both called 'Tiny <set>'"):
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


def test_mean_of_infinite_values_is_infinite() -> None:
    rows = [engine.ImageScore("a", {"psnr_y": math.inf}), engine.ImageScore("b", {"psnr_y": 20.0})]
    assert engine._mean(rows) == {"psnr_y": math.inf}
