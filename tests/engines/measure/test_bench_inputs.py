"""Inputs of bench: malicious files, and sizes that a network does not accept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.data.datasets import open_dataset, picture_size
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.metrics import psnr_y
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.engines.measure.bench import bench
from gramgan_cli.engines.measure.enlargers import Enlarger, interpolation
from gramgan_cli.engines.measure.report import Gallery


def test_postscript_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would start Ghostscript for an EPS file of any name."""

    def run(*_: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n{} loop\n"
    (tmp_path / "loop.png").write_text(text)
    Image.effect_noise((64, 64), 60).save(tmp_path / "good.png")
    measured = bench([open_dataset(tmp_path, 4)], [interpolation("bicubic", 4)])
    assert [failure.name for failure in measured.failures] == ["loop"]
    assert "loop.png can't be read as an image" in measured.failures[0].reason


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    image = Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.jpg", exif=exif)
    assert picture_size(tmp_path / "x.jpg") == ((30, 20) if orientation >= 5 else (20, 30))
    with pytest.raises(GramganError, match=r"no file .*absent"):
        picture_size(tmp_path / "absent.jpg")


@pytest.mark.parametrize("scale", [1, 2])
def test_sizes_that_the_network_does_not_take(tmp_path: Path, scale: int) -> None:
    """RRDBNet at x2 and x1 unshuffles pixels into channels: LR of 27 x 31 is padded by reflection, then cropped."""
    torch.manual_seed(0)
    facts = {"nf": 4, "nb": 1, "gc": 4, "upsampler": "nearest", "scale": scale}
    network = archs.build("rrdbnet", facts).eval()
    file = tmp_path / "folds.safetensors"
    save_weights(file, network.state_dict(), WeightsHeader("rrdbnet", facts, scale))
    (tmp_path / "set").mkdir()
    hr = np.random.default_rng(0).integers(0, 256, (27 * scale, 31 * scale, 3), dtype=np.uint8)
    Image.fromarray(hr).save(tmp_path / "set" / "x.png")
    result = CliRunner().invoke(app, ["bench", str(tmp_path / "set"), "-m", str(file), "--json"])
    assert result.exit_code == 0, result.output
    lr = make_lr(hr, scale) if scale > 1 else hr
    padded = np.pad(lr, ((0, 1), (0, 1), (0, 0)), mode="reflect")
    with torch.inference_mode():
        out = network(torch.tensor(padded / 255, dtype=torch.float32).permute(2, 0, 1)[None])[0]
    exact = out.permute(1, 2, 0).double().numpy()[: 27 * scale, : 31 * scale] * 255
    sr = np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8)
    found = json.loads(result.stdout)["results"][0]["psnr_y"]
    assert found == pytest.approx(psnr_y(sr, hr, scale), abs=0.01)


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "absent", "-m", "bicubic"),
        ("bench", ".", "-m", "nosuch"),
        ("bench", ".", "-m", "bicubic", "--device", "foo"),
        ("bench", ".", "-m", "bicubic", "--report", "x.pdf"),
        ("compare", "absent.png", "-m", "nearest"),
        ("compare", "absent.png", "-m", "nearest", "--device", "foo"),
        ("compare", "absent.png", "-o", "x.gif"),
    ],
)
def test_errors_before_the_work_are_in_the_document(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert isinstance(result.exception, GramganError)
    document = json.loads(result.stdout)
    assert result.exception.message.split(" (")[0] in document["error"]
    assert document["results" if arguments[0] == "bench" else "versions"] == []


@pytest.mark.parametrize("suffix", [".html", ".md", ".csv", ".tex"])
def test_a_report_names_no_option(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grey network reads pictures with the reader that upscale uses, whose hints name its options."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    facts = {"nf": 4, "nb": 1, "gc": 4, "in_nc": 1, "out_nc": 1}
    network = archs.build("rrdbnet", facts).eval()
    save_weights(tmp_path / "grey.safetensors", network.state_dict(), WeightsHeader("rrdbnet", facts, 4))
    (tmp_path / "set").mkdir()
    for name in ("a", "b"):
        Image.effect_noise((64, 64), 60).save(tmp_path / f"set/{name}.jpg")
    bad = tmp_path / "set/b.jpg"
    bad.write_bytes(bad.read_bytes()[:-800])
    words = ["bench", "set", "-m", "grey.safetensors", "--report", f"r{suffix}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    text = "".join(path.read_text() for path in tmp_path.glob(f"r*{suffix}"))
    assert "Copy it again from its source" in text
    assert "`" not in text.partition("Copy it again")[2][:80]
    assert "allow" not in text


def test_a_picture_too_small_for_its_spectrum_is_named_and_the_others_measured(tmp_path: Path) -> None:
    """Of 20 pixels, 12 are left inside the border of 4, enough for SSIM (11), but not for the spectrum (16)."""
    for name, side in (("small", 20), ("large", 24)):
        Image.effect_noise((side, side), 60).save(tmp_path / f"{name}.png")
    words = ["bench", str(tmp_path), "-m", "bicubic", "--metric", "spectrum", "--json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    document = json.loads(result.stdout)
    assert [failure["name"] for failure in document["failures"]] == ["small"]
    assert [image["name"] for image in document["results"][0]["images"]] == ["large"]


def test_markdown_links_find_pictures_in_a_folder_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.effect_noise((64, 64), 60).save(tmp_path / "set" / "x.png")
    report = tmp_path / "50% (new) #1 ü?.md"
    words = ["bench", str(tmp_path / "set"), "-m", "bicubic", "--report", str(report)]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    links = re.findall(r"!\[\]\(([A-Za-z0-9%/._~-]+)\)", report.read_text(encoding="utf-8"))
    assert len(links) == 2
    for link in links:
        path = urlsplit(link).path
        assert (tmp_path / unquote(path)).is_file()


def test_a_network_called_bicubic_is_shown_beside_the_interpolation(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 60).save(tmp_path / "x.png")
    gallery = Gallery()
    white = Enlarger("bicubic", 4, lambda lr, _: np.full((lr.shape[0] * 4, lr.shape[1] * 4, 3), 255, np.uint8))
    bench([open_dataset(tmp_path, 4)], [white], on_result=gallery.add)
    _, plain, network = gallery.rows[0].tiles
    assert plain[1].min() < 255
    assert plain[2] == {}
    assert network[1].min() == 255
    assert network[2].keys() == {"psnr_y", "ssim_y"}
