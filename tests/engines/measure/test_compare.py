"""``gramgan compare``: the grid, and the page in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from chromium import Chromium
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, TargetExists, UsageError
from gramgan_cli.core.metrics import psnr_y, ssim_y
from gramgan_cli.core.resize.matlab import imresize, make_lr, round_to_8bit
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.engines.measure.compare_grid import CROP, positions_to_look_at
from gramgan_cli.engines.measure.compare_page import check_size


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A crop of scikit-image's coffee cup, 200x163."""
    Image.fromarray(data.coffee()[100:263, 150:350]).save(tmp_path / "cup.png")
    return tmp_path / "cup.png"


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_scores_against_hr(photo: Path, tmp_path: Path) -> None:
    document = json.loads(run(photo, "--hr", "-m", "lanczos", "-o", tmp_path / "g.png", "--json"))
    hr = np.asarray(Image.open(photo))[:160, :200]
    sr = round_to_8bit(imresize(make_lr(hr, 4).astype(float), 4))
    assert [version["label"] for version in document["versions"]] == ["HR", "bicubic", "lanczos"]
    assert document["versions"][1]["psnr_y"] == pytest.approx(psnr_y(sr, hr, 4), abs=1e-12)
    assert document["versions"][1]["ssim_y"] == pytest.approx(ssim_y(sr, hr, 4), abs=1e-12)


def test_models_of_another_scale_stand_beside_bicubic_of_theirs(photo: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    facts = {"nf": 4, "nc": 1, "scale": 2}
    save_weights(
        tmp_path / "two.safetensors", archs.build("compact", facts).state_dict(), WeightsHeader("compact", facts, 2)
    )
    document = json.loads(run(photo, "--hr", "-m", tmp_path / "two.safetensors", "-o", tmp_path / "g.png", "--json"))
    hr = np.asarray(Image.open(photo))[:162]
    sr = round_to_8bit(imresize(make_lr(hr, 2).astype(float), 2))
    assert document["scale"] == 2
    assert document["versions"][1]["label"] == "bicubic"
    assert document["versions"][1]["psnr_y"] == pytest.approx(psnr_y(sr, hr, 2), abs=1e-12)


def test_the_photo_itself_is_never_replaced(photo: Path) -> None:
    before = photo.read_bytes()
    result = CliRunner().invoke(app, ["compare", str(photo), "-o", str(photo), "--overwrite"])
    assert isinstance(result.exception, UsageError)
    assert photo.read_bytes() == before


def test_grid_holds_enlarged_pixels_of_every_version(photo: Path) -> None:
    assert run(photo, "--hr", "-m", "nearest").strip() == str(photo.with_name("cup_compare.png"))
    grid = np.asarray(Image.open(photo.with_name("cup_compare.png")))
    hr = np.asarray(Image.open(photo))[:160, :200]
    versions = [hr, round_to_8bit(imresize(make_lr(hr, 4).astype(float), 4))]
    top = grid.shape[0] - CROP * 4 - 8
    for column, image in enumerate(versions):
        left = 8 + column * (288 + 8)
        # One pixel of each 4 x 4 block, away from the frame.
        shown = grid[top + 6 : top + 282 : 4, left + 6 : left + 282 : 4]
        first = np.argwhere(np.all(image[: 161 - len(shown), : 201 - len(shown)] == shown[0, 0], axis=2))
        assert any(np.array_equal(image[y : y + len(shown), x : x + len(shown)], shown) for y, x in first), column


def test_halve_reduces_the_photo_first(photo: Path, tmp_path: Path) -> None:
    """As in the SRGAN tutorial: Lanczos by two, then LR from the result."""
    document = json.loads(run(photo, "--hr", "--halve", "-m", "nearest", "-o", tmp_path / "g.png", "--json"))
    hr = np.asarray(Image.open(photo).resize((100, 81), Image.Resampling.LANCZOS))[:80]
    sr = make_lr(hr, 4).repeat(4, 0).repeat(4, 1)
    assert document["versions"][2]["psnr_y"] == pytest.approx(psnr_y(sr, hr, 4), abs=1e-12)
    Image.new("RGB", (1, 9)).save(tmp_path / "thin.png")
    with pytest.raises(GramganError, match=r"thin\.png is too small to be halved"):
        run(tmp_path / "thin.png", "--halve", "-m", "nearest")


def test_without_hr_the_input_is_shown(photo: Path, tmp_path: Path) -> None:
    document = json.loads(run(photo, "-m", "lanczos", "-o", tmp_path / "g.jpg", "--json"))
    assert document["versions"] == [{"label": "input"}, {"label": "bicubic"}, {"label": "lanczos"}]
    assert Image.open(tmp_path / "g.jpg").format == "JPEG"


def test_crop_positions_are_where_versions_differ_and_apart() -> None:
    apart = np.zeros((300, 400))
    apart[20:40, 30:50], apart[200:220, 300:320], apart[190:200, 20:30] = 5, 9, 1
    positions = positions_to_look_at(apart, 72, 3)
    inside = [(210, 310), (30, 40), (195, 25)]
    for (top, left), (y, x) in zip(positions, inside, strict=True):
        assert top <= y < top + 72
        assert left <= x < left + 72
    assert positions_to_look_at(np.ones((50, 40)), 72, 3) == [(0, 0)]


def test_a_grid_that_its_format_can_not_hold_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 700)).save(tmp_path / "tall.png")
    with pytest.raises(GramganError, match=r"The grid would have 896 x 26128 pixels, but WebP allows at most 16383"):
        run(tmp_path / "tall.png", "-m", "nearest", "-o", tmp_path / "grid.webp")
    assert not (tmp_path / "grid.webp").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are text")
def test_a_page_of_a_photo_with_an_undecodable_name(photo: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    photo.rename(odd)
    CliRunner().invoke(app, ["compare", str(odd), "-m", "nearest", "-o", str(tmp_path / "page.html")])
    assert "caf\ufffd" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_refusals(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not 'x\.gif'"):
        run(photo, "-o", tmp_path / "x.gif")
    with pytest.raises(TargetExists, match=r"cup\.png already exists"):
        run(photo, "-o", photo)
    with pytest.raises(GramganError, match=r"absent\.png"):
        run(tmp_path / "absent.png", "-m", "nearest")
    with pytest.raises(GramganError, match="192 megapixels, too many for a page"):
        check_size(12_000, 16_000, photo)
    Image.new("RGB", (40, 17)).save(tmp_path / "small.png")
    with pytest.raises(GramganError, match=r"small\.png is too small to measure: it needs 19"):
        run(tmp_path / "small.png", "--hr", "-m", "nearest")


@pytest.fixture
def page(photo: Path, tmp_path: Path) -> Iterator[Chromium]:
    """The page of three versions, open in a browser."""
    browser = Chromium(tmp_path)
    try:
        awkward = photo.with_name("<!--<script>&.png")
        shutil.copy(photo, awkward)
        run(awkward, "--hr", "-m", "lanczos", "-o", tmp_path / "page.html")
        browser.open(tmp_path / "page.html", "document.documentElement?.dataset.ready === 'yes'")
        yield browser
    finally:
        browser.close()


def test_page_in_a_browser(page: Chromium) -> None:
    """One test for all, since starting the browser takes longest."""
    labels = "[...document.querySelectorAll('#panes figcaption')].map(caption => caption.textContent.split('  ')[0])"
    assert page.run(labels) == ["HR", "bicubic", "lanczos"]
    assert page.run("document.querySelector('h1').textContent") == "<!--<script>&.png, x4"
    assert page.run("[...document.images].every(image => image.complete && image.naturalWidth === 200)")
    fit = page.run("seen.zoom")

    # Keys: slider, zoom, pan, choice of versions.
    for _ in range(3):
        page.key("]", "BracketRight", 221)
    assert page.run("document.getElementById('layer-left').style.clipPath") == "inset(0px 35% 0px 0px)"
    page.key("+", "Equal", 187, shift=True)
    page.key("+", "Equal", 187, shift=True)
    assert page.run("seen.zoom") == pytest.approx(fit * 2.25)
    page.key("ArrowRight", "ArrowRight", 39)
    assert page.run("seen.x") == pytest.approx(100 + 0.1 * page.run("main.clientWidth") / (fit * 2.25))
    page.key("1", "Digit1", 49)
    assert page.run("[seen.left, seen.right]") == [1, 0]
    page.key("#", "Digit3", 51, shift=True)
    assert page.run("[seen.left, seen.right, document.getElementById('left').value]") == [2, 0, "2"]

    # All panes show the same region: a point of the picture has the same relative position in each.
    centres = page.run(
        "[...document.querySelectorAll('.view img')].map(image => { const box = image.getBoundingClientRect(), "
        "view = image.closest('.view').getBoundingClientRect(); "
        "return (view.left + view.width / 2 - box.left) / box.width; })"
    )
    assert centres == pytest.approx([centres[0]] * 5, abs=1e-3)
    assert centres[0] == pytest.approx(page.run("seen.x") / 200, abs=1e-3)

    # When the native slider has the focus, the arrow keys move it and not the picture.
    x = page.run("seen.x")
    page.run("document.getElementById('split').focus()")
    page.key("ArrowLeft", "ArrowLeft", 37)
    assert page.run("[seen.split, seen.x]") == [64, x]

    # Mouse: the wheel zooms at the pointer; dragging moves the divider or, elsewhere, the picture.
    page.key("0", "Digit0", 48)
    box = page.run("(({left, top, width, height}) => ({left, top, width, height}))(main.getBoundingClientRect())")
    left, top = box["left"] + 0.25 * box["width"], box["top"] + 0.5 * box["height"]
    page.mouse("mouseWheel", left, top, deltaX=0, deltaY=-400)
    page.run("new Promise(requestAnimationFrame)")
    assert page.run("seen.zoom") == pytest.approx(fit * np.e, rel=1e-6)
    shift = -0.25 * box["width"] * (1 / fit - 1 / (fit * np.e))
    assert page.run("seen.x") == pytest.approx(max(0, 100 + shift), abs=1e-6)
    divider = box["left"] + 0.64 * box["width"]
    for kind, at in (("mousePressed", divider), ("mouseMoved", left), ("mouseReleased", left)):
        page.mouse(kind, at, top, button="left", buttons=1, clickCount=1)
    assert page.run("seen.split") == pytest.approx(25, abs=0.5)
    page.key("0", "Digit0", 48)
    for kind, at in (("mousePressed", divider), ("mouseMoved", divider - 50), ("mouseReleased", divider - 50)):
        page.mouse(kind, at, top, button="left", buttons=1, clickCount=1)
    assert page.run("seen.x") == pytest.approx(100 + 50 / fit, abs=0.1)


def test_the_amounts_of_the_square_are_compared(tmp_path: Path) -> None:
    Image.fromarray(data.coffee()[100:116, 150:170]).save(tmp_path / "piece.png")
    words = [tmp_path / "piece.png", "--denoise", "0", "--style", "0", "-o", tmp_path / "g.png", "--json"]
    document = json.loads(run(*words))
    assert [version["label"] for version in document["versions"]] == ["input", "bicubic", "clean"]
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "piece.png"), "--denoise", "auto"])
    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
def test_interpolations_refuse_the_amounts_of_the_square(photo: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["compare", str(photo), "-m", name, "--style", "0.5"])
    assert isinstance(result.exception, UsageError)
    assert f"'{name}' can't be mixed" in str(result.exception)
    assert not photo.with_name("cup_compare.png").exists()


def test_frames_of_a_result_smaller_than_a_crop_stay_on_it(tmp_path: Path) -> None:
    """A photo of 40x10 is drawn 288 wide, so its result of 160x40 is 72 high; below it is a white gap."""
    Image.new("RGB", (40, 10)).save(tmp_path / "strip.png")
    run(tmp_path / "strip.png", "-m", "nearest", "-o", tmp_path / "g.png")
    grid = np.asarray(Image.open(tmp_path / "g.png").convert("RGB"))
    top = 8 + 24
    assert (grid[top : top + 72, 8 : 8 + 288].min(axis=2) < 255).all()
    assert (grid[top + 72 : top + 72 + 8] == 255).all()
