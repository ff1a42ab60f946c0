"""The conventions against published tables, reference numbers and independent computations."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.data.datasets import open_dataset
from gramgan_cli.core.resize.matlab import imresize
from gramgan_cli.engines.measure.bench import BenchOptions, bench, lr_note
from gramgan_cli.engines.measure.conventions import CONVENTIONS
from gramgan_cli.engines.measure.enlargers import Enlarger, interpolation

PUBLISHED = {
    ("Set5", 2): (33.66, 0.9299),
    ("Set5", 3): (30.39, 0.8682),
    ("Set5", 4): (28.42, 0.8104),
    ("Set14", 4): (26.00, 0.7019),
}
"""Bicubic rows of VDSR's table 3 (Kim, Lee and Lee, CVPR 2016), the same as in SRCNN's and later tables."""


def measured(folder: Path, convention: str, *enlargers: Enlarger) -> list[dict[str, float]]:
    """Values of the first picture of ``folder``, by model."""
    options = BenchOptions(convention=CONVENTIONS[convention])
    result = bench([open_dataset(folder, enlargers[0].scale)], enlargers, options)
    return [score.images[0].values for score in result.scores]


def run(*arguments: str | Path) -> dict[str, list[dict[str, float]]]:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document: dict[str, list[dict[str, float]]] = json.loads(result.stdout)
    return document


@pytest.mark.parametrize(("name", "scale"), sorted(PUBLISHED))
def test_classic_reproduces_the_published_rows(shared_data: Path, name: str, scale: int) -> None:
    document = run(name, "--data-dir", shared_data, "-m", "bicubic", "--convention", "classic", "--scale", str(scale))
    psnr, ssim = PUBLISHED[name, scale]
    assert document["results"][0]["psnr_y"] == pytest.approx(psnr, abs=0.005)
    assert document["results"][0]["ssim_y"] == pytest.approx(ssim, abs=0.00005)


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_classic_and_rgb_reproduce_the_reference_numbers(shared_data: Path, name: str) -> None:
    truth = json.loads((shared_data.parent / "GROUND_TRUTH.json").read_text())["bench"][name]["mean"]
    (classic,) = run(name, "--data-dir", shared_data, "-m", "bicubic", "--convention", "classic")["results"]
    assert classic["psnr_y"] == pytest.approx(truth["ypath_float_lr_u8out"]["psnr_y_c4"], abs=2e-5)
    assert classic["ssim_y"] == pytest.approx(truth["ypath_float_lr_u8out"]["ssim_y_c4"], abs=1e-6)
    (rgb,) = run(name, "--data-dir", shared_data, "-m", "bicubic", "--convention", "rgb")["results"]
    if name == "Set5":
        assert rgb["psnr_rgb"] == pytest.approx(truth["matlab_bicubic"]["psnr_rgb_c0"], abs=1e-6)
        assert rgb["ssim_rgb"] == pytest.approx(truth["matlab_bicubic"]["ssim_rgb_c0"], abs=1e-8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One colour picture, 72x60, smooth with noise."""
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[0:60, 0:72]
    base = 128 + 80 * np.sin(rows / 5)[..., None] * np.cos(columns[..., None] / np.array([4.0, 6.0, 9.0]))
    picture = np.clip(base + random.normal(0, 6, base.shape), 0, 255).astype(np.uint8)
    (tmp_path / "colour").mkdir()
    (tmp_path / "grey").mkdir()
    Image.fromarray(picture).save(tmp_path / "colour" / "x.png")
    Image.fromarray(picture[..., 0]).save(tmp_path / "grey" / "x.png")
    return tmp_path


def plain_psnr(x: np.ndarray, y: np.ndarray, peak: float) -> float:
    return 10 * math.log10(peak**2 / float(np.mean((x - y) ** 2)))


def plain_luma(image: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(image.astype(np.float64), 2, 0)
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


def test_rgb_counts_every_sample_in_the_unit_range(pictures: Path) -> None:
    (values,) = measured(pictures / "colour", "rgb", interpolation("nearest", 4))
    hr = np.asarray(Image.open(pictures / "colour" / "x.png"))
    lr = imresize(hr, 0.25)
    x, y = lr.repeat(4, 0).repeat(4, 1) / 255, hr / 255
    assert values["psnr_rgb"] == pytest.approx(plain_psnr(x, y, 1.0), abs=1e-9)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0, "full": True}
    planes = [structural_similarity(x[..., c], y[..., c], **settings)[1][5:-5, 5:-5].mean() for c in range(3)]
    assert values["ssim_rgb"] == pytest.approx(np.mean(planes), abs=1e-9)


def test_classic_reduces_y_alone_without_rounding(pictures: Path) -> None:
    (values,) = measured(pictures / "colour", "classic", interpolation("bicubic", 4))
    y = np.round(plain_luma(np.asarray(Image.open(pictures / "colour" / "x.png"))))
    sr = np.clip(np.floor(imresize(imresize(y, 0.25), 4) + 0.5), 0, 255)
    assert values["psnr_y"] == pytest.approx(plain_psnr(sr[4:-4, 4:-4], y[4:-4, 4:-4], 255), abs=1e-3)


def test_classic_measures_grey_as_grey(pictures: Path) -> None:
    """Measured as RGB, grey differences shrink to 219/255, and the PSNR is 1.32 dB higher."""
    (classic,), (modern,) = (
        measured(pictures / "grey", name, interpolation("nearest", 4)) for name in ("classic", "modern")
    )
    y = np.asarray(Image.open(pictures / "grey" / "x.png")).astype(np.float64)
    sr = np.floor(imresize(y, 0.25).repeat(4, 0).repeat(4, 1) + 0.5)
    assert classic["psnr_y"] == pytest.approx(plain_psnr(sr[4:-4, 4:-4], y[4:-4, 4:-4], 255), abs=1e-9)
    assert modern["psnr_y"] - classic["psnr_y"] == pytest.approx(20 * math.log10(255 / 219), abs=0.05)


def test_classic_gives_networks_the_colours(pictures: Path) -> None:
    """A stand-in for a network gets RGB LR, and the Y of its result is measured."""
    seen: list[np.ndarray] = []

    def enlarge(lr: np.ndarray, _reference: np.ndarray | None) -> np.ndarray:
        seen.append(lr)
        return lr.repeat(4, 0).repeat(4, 1)

    (values,) = measured(pictures / "colour", "classic", Enlarger("net", 4, enlarge))
    hr = np.asarray(Image.open(pictures / "colour" / "x.png"))
    assert np.array_equal(seen[-1], imresize(hr, 0.25))
    sr, y = np.round(plain_luma(seen[-1].repeat(4, 0).repeat(4, 1))), np.round(plain_luma(hr))
    assert values["psnr_y"] == pytest.approx(plain_psnr(sr[4:-4, 4:-4], y[4:-4, 4:-4], 255), abs=1e-9)


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_the_output_names_the_convention(pictures: Path, name: str) -> None:
    arguments = ["bench", str(pictures / "colour"), "-m", "bicubic", "--convention", name]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert f"x4, {name}: " in result.stderr
    assert run(*arguments[1:])["convention"]["name"] == name  # type: ignore[call-overload]


def test_classic_says_that_models_see_the_sets_own_lr(tmp_path: Path) -> None:
    """The set's LR is black: interpolations, which get LR made from HR, would win by far."""
    random = np.random.default_rng(1)
    for name, pixels in (
        ("HR", random.integers(0, 256, (64, 64, 3), np.uint8)),
        ("LR_x4", np.zeros((16, 16, 3), np.uint8)),
    ):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "x.png")
    sets, bicubic = [open_dataset(tmp_path, 4)], interpolation("bicubic", 4)
    network = Enlarger("net", 4, bicubic.enlarge)
    assert str(tmp_path) in (lr_note(sets, [bicubic, network], CONVENTIONS["classic"]) or "")
    assert lr_note(sets, [bicubic, network], CONVENTIONS["modern"]) is None
    assert lr_note(sets, [network], CONVENTIONS["classic"]) is None
    first, second = measured(tmp_path, "modern", bicubic, network)
    assert first == second
    first, second = measured(tmp_path, "classic", bicubic, network)
    assert second["psnr_y"] < first["psnr_y"]
