"""Confidence intervals, paired differences, multiply-adds and their tables."""

from __future__ import annotations

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import LoadedModel
from gramgan_cli.engines.measure.bench import ImageScore, Score
from gramgan_cli.engines.measure.enlargers import interpolation, multiply_adds
from gramgan_cli.engines.measure.statistics import differences, half_width, intervals

FIRST = [28.1, 30.2, 25.7, 33.0, 27.4, 29.9]
SECOND = [28.9, 30.1, 26.9, 33.5, 27.9, 31.6]


def score(model: str, values: list[float]) -> Score:
    images = tuple(ImageScore(str(index), {"psnr_y": value}) for index, value in enumerate(values))
    enlarger = interpolation("bicubic", 4)
    return Score("set", type(enlarger)(model, 4, enlarger.enlarge), {"psnr_y": float(np.mean(values))}, 1, 1, images)


def test_the_interval_is_students() -> None:
    """Student's t for 5 degrees of freedom at 0.975 is 2.5706."""
    deviation = math.sqrt(sum((value - sum(FIRST) / 6) ** 2 for value in FIRST) / 5)
    assert half_width(FIRST) == pytest.approx(2.570582 * deviation / math.sqrt(6), rel=1e-6)
    assert half_width([1.0]) is None
    assert half_width([1.0, math.inf]) is None


def test_the_difference_is_paired() -> None:
    """Wilcoxon's p by enumeration: the share of the 2^6 sign patterns with at least as extreme a rank sum."""
    (found,) = differences([score("a", FIRST), score("b", SECOND)])
    apart = np.array(SECOND) - np.array(FIRST)
    assert (found.first, found.second, found.images) == ("a", "b", 6)
    assert found.mean == pytest.approx(apart.mean())
    assert found.standard_error == pytest.approx(math.sqrt(np.sum((apart - apart.mean()) ** 2) / 5 / 6))
    ranks = np.argsort(np.argsort(np.abs(np.round(apart, 6)))) + 1
    rank_sum = min(ranks[apart > 0].sum(), ranks[apart < 0].sum())
    sums = [
        sum(r for r, sign in zip(ranks, signs, strict=True) if sign) for signs in itertools.product((0, 1), repeat=6)
    ]
    uneven = sum(min(total, 21 - total) <= rank_sum for total in sums) / 64
    assert found.p == pytest.approx(uneven, abs=1e-9)


def test_equal_models_have_zero_difference() -> None:
    (found,) = differences([score("a", FIRST), score("b", FIRST)])
    assert (found.mean, found.standard_error, found.p) == (0, 0, 1)
    assert differences([score("a", [1.0]), score("b", [2.0])]) == []
    assert differences([score("a", [1.0, math.inf]), score("b", [2.0, 3.0])]) == []
    assert len(differences([score(name, FIRST) for name in "abc"])) == 3


def test_values_of_a_whole_set_have_no_interval_and_no_difference() -> None:
    models = [score("a", FIRST), score("b", SECOND)]
    for one in models:
        one.values["fid"] = 20.0
    assert {one.key for one in differences(models)} == {"psnr_y"}
    assert intervals(models[0])["fid"] is None
    assert intervals(models[0])["psnr_y"] == half_width(FIRST)


@pytest.mark.parametrize(
    ("arch", "hyperparameters", "giga"),
    [
        ("compact", {"nf": 64, "nc": 16}, 35.66592),
        ("compact", {"nf": 64, "nc": 32}, 69.6397824),
        ("rrdbnet", {"nf": 64, "nb": 23, "gc": 32, "upsampler": "nearest"}, 1032.5864448),
    ],
)
def test_multiply_adds_are_the_published_ones(arch: str, hyperparameters: dict[str, int], giga: float) -> None:
    """Counted by hand for a result of 1280 x 720."""
    with torch.device("meta"):
        network = archs.build(arch, hyperparameters)
    header = WeightsHeader(arch, hyperparameters, 4)
    model = LoadedModel("x", network, header, archs.describe(arch, hyperparameters))
    assert multiply_adds(model) == pytest.approx(giga * 1e9, rel=1e-9)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures that can be measured and one that can't, in a folder whose name needs escaping in LaTeX."""
    folder = tmp_path / "a_set & more"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    Image.new("RGB", (8, 8)).save(folder / "tiny.png")
    return folder


def document_and_report(pictures: Path, report: Path) -> dict[str, list[dict[str, object]]]:
    arguments = ["bench", str(pictures), "-m", "bicubic", "-m", "nearest", "--report", str(report), "--json"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 1  # tiny.png
    document: dict[str, list[dict[str, object]]] = json.loads(result.stdout)
    return document


def test_csv_holds_all_digits(pictures: Path, tmp_path: Path) -> None:
    document = document_and_report(pictures, tmp_path / "r.csv")
    means, images, apart = (
        list(csv.DictReader((tmp_path / name).open(newline="")))
        for name in ("r.csv", "r_images.csv", "r_differences.csv")
    )
    assert [row["model"] for row in means] == ["bicubic", "nearest"]
    for row, result in zip(means, document["results"], strict=True):
        assert float(row["psnr_y"]) == result["psnr_y"]
        assert [float(row["psnr_y_low"]), float(row["psnr_y_high"])] == result["intervals"]["psnr_y"]  # type: ignore[index]
    assert [(row["model"], row["image"]) for row in images] == [
        ("bicubic", "a"), ("bicubic", "b"), ("bicubic", "c"),
        ("nearest", "a"), ("nearest", "b"), ("nearest", "c"),
        ("", "tiny"),
    ]  # fmt: skip
    assert "measuring needs 19" in images[-1]["reason"]
    assert [float(row["mean"]) for row in apart] == [one["mean"] for one in document["differences"]]
    refused = CliRunner().invoke(app, ["bench", str(pictures), "-m", "bicubic", "--report", str(tmp_path / "r.csv")])
    assert "already exists" in str(refused.exception)


def test_latex_is_escaped_and_has_the_best_in_bold(pictures: Path, tmp_path: Path) -> None:
    document = document_and_report(pictures, tmp_path / "r.tex")
    text = (tmp_path / "r.tex").read_text(encoding="utf-8")
    rows = [line.split(" & ") for line in text.splitlines() if line.startswith(r"a\_set \& more")]
    bicubic, nearest = (float(result["psnr_y"]) for result in document["results"])  # type: ignore[arg-type]
    assert bicubic > nearest
    assert rows[0][2].startswith(rf"\textbf{{{bicubic:.4f} $\pm$ ")
    assert rows[1][2].startswith(f"{nearest:.4f} $\\pm$ ")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert "% not measured: " in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any("±" in line or "_set &" in line for line in body)


def test_pages_have_intervals_differences_and_failures(pictures: Path, tmp_path: Path) -> None:
    for name in ("r.html", "r.md"):
        document_and_report(pictures, tmp_path / name)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert " ± " in text
        assert "nearest - bicubic" in text
        assert "measuring needs 19" in text
