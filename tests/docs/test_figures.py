"""Figures of the documentation that follow from the code: sizes, limits, defaults, scores of embedded models."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators.esrgan import ESRGANDiscriminator
from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle
from gramgan_cli.core.archs.discriminators.srgan import SRGANDiscriminator
from gramgan_cli.core.archs.discriminators.ttsr import TTSRDiscriminator
from gramgan_cli.core.data import holdout
from gramgan_cli.core.images import limits
from gramgan_cli.core.images.capabilities import FORMATS
from gramgan_cli.core.images.output_format import STANDARD_QUALITY
from gramgan_cli.core.io.download import LARGEST
from gramgan_cli.core.metrics.damage import AUTOMATIC
from gramgan_cli.core.weights.header import read_header
from gramgan_cli.core.weights.store import get
from gramgan_cli.engines.models.commands import LARGEST_WEIGHTS
from gramgan_cli.recipes.load import load_recipe

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    """The text of a page, with each line break and run of blanks as one blank."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def rows(name: str, first: str) -> list[list[str]]:
    """The cells of the rows of the tables whose heading begins with ``first``, without backquotes."""
    found: list[list[str]] = []
    for table in re.findall(
        rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n?)+)", (ROOT / name).read_text("utf-8"), re.M
    ):
        found += [
            [cell.strip().replace("`", "") for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
            for line in table.splitlines()
        ]
    assert found, (name, first)
    return found


def spaced(number: int) -> str:
    """1234567 as '1 234 567'."""
    return f"{number:,}".replace(",", " ")


def parameters(arch: str, hyperparameters: Mapping[str, Any]) -> int:
    with torch.device("meta"):
        return archs.parameter_count(archs.build(arch, hyperparameters))


@pytest.mark.parametrize(
    ("arch", "hyperparameters", "pages"),
    [
        ("compact", {"nc": 16}, ["docs/models.md"]),
        ("compact", {"nc": 22}, ["docs/models.md", "docs/systems.md"]),
        ("rrdbnet", {"upsampler": "pixelshuffle"}, ["docs/models.md", "docs/systems.md"]),
        ("rrdbnet", {"upsampler": "nearest"}, ["docs/models.md", "docs/systems.md"]),
        ("srresnet", {}, ["docs/models.md", "docs/systems.md"]),
        ("ttsr", {}, ["docs/models.md", "docs/systems.md"]),
    ],
)
def test_parameters_of_networks(arch: str, hyperparameters: dict[str, Any], pages: list[str]) -> None:
    for name in pages:
        assert spaced(parameters(arch, hyperparameters)) in page(name), name


def test_parameters_of_discriminators() -> None:
    with torch.device("meta"):
        every = [DiscriminatorVGGStyle(), SRGANDiscriminator(), ESRGANDiscriminator(), TTSRDiscriminator()]
    for network in every:
        assert spaced(archs.parameter_count(network)) in page("docs/systems.md"), type(network)


def test_receptive_fields() -> None:
    radius = {
        "plain": archs.describe("compact", {"nc": 16}).receptive_radius,
        "embedded": archs.describe("compact", {"nc": 22}).receptive_radius,
        "srresnet": archs.describe("srresnet", {}).receptive_radius,
        "rrdbnet": archs.describe("rrdbnet", {}).receptive_radius,
    }
    assert read_header(get("photo").path).hyperparameters["nc"] == 22, "the embedded models"
    table = {row[0]: row[-1] for row in rows("docs/models.md", "name")}
    assert table["compact"] == f"{radius['plain']}; {radius['embedded']}"
    assert (table["srresnet"], table["rrdbnet"]) == (str(radius["srresnet"]), str(radius["rrdbnet"]))
    text = page("docs/upscaling.md")
    assert f"Compact ({radius['plain']} pixels, or {radius['embedded']} for the embedded models)" in text
    assert f"SRResNet ({radius['srresnet']})" in text
    assert f"receptive field of {radius['rrdbnet']} pixels" in text


def test_limits_of_pictures() -> None:
    text, million = page("docs/reliability.md"), 1_000_000
    assert f"more than {limits.LARGEST_PIXELS // million} megapixels" in text
    assert f"above {limits.UNQUESTIONED_PIXELS // million} megapixels" in text
    assert f"more than {spaced(limits.PIXELS_PER_BYTE)} pixels per byte" in text
    assert f"more than {spaced(limits.LARGEST_TOTAL // million)} megapixels" in text
    assert f"above {limits.UNQUESTIONED_TOTAL // million} megapixels" in text


def test_limits_of_downloads() -> None:
    sizes = f"{LARGEST_WEIGHTS // 2**30} GiB for weights, {LARGEST // 2**30} GiB for datasets"
    assert sizes in page("docs/reliability.md")


def test_largest_sides_and_quality_of_formats() -> None:
    text = page("docs/upscaling.md")
    for label in ("WebP", "JPEG", "AVIF"):
        (side,) = {form.max_side for form in FORMATS.values() if form.label == label}
        assert re.search(rf"{spaced(side)} (?:pixels )?for {label}", text), label
    assert f"the default is {STANDARD_QUALITY}" in text


def test_photos_that_training_holds_out() -> None:
    numbers = {8: "eight", 20: "twenty"}
    wanted = f"one photo in {numbers[holdout.ONE_IN]} (at least one, at most {numbers[holdout.MOST]})"
    assert wanted in page("docs/training.md")


def test_degradations_are_those_of_the_recipes() -> None:
    web, wide = load_recipe("photo-web").degradation, load_recipe("photo").degradation
    for key, _, *values in rows("docs/training.md", "key"):
        for value, recipe in zip(values, (web, wide), strict=True):
            stated, actual = value, getattr(recipe, key)
            assert stated in ("", str(actual)) or float(stated) == actual, (key, stated, actual)


def test_automatic_amounts_of_denoise() -> None:
    low, middle, high = (f"{amount:g}" for amount in AUTOMATIC)
    text = page("docs/models.md")
    assert f"It sets {low} for a photo that looks sharp and undamaged, {middle} for one" in text
    assert f"and {high} for all others" in text


@pytest.mark.parametrize("name", ["clean", "clean-gan", "photo", "photo-gan"])
def test_scores_on_the_cards_of_embedded_models(name: str) -> None:
    for dataset, scores in read_header(get(name).path).metrics.items():
        assert f"{scores['psnr_y']:.2f} / {scores['ssim_y']:.4f}" in page(f"docs/models/{name}.md"), dataset


def test_scores_of_the_content_training_are_those_of_the_embedded_model() -> None:
    for dataset, scores in read_header(get("clean").path).metrics.items():
        stated = f"{dataset} {scores['psnr_y']:.2f} / {scores['ssim_y']:.4f}".replace(" 0.", " .")
        assert stated in page("docs/systems.md"), dataset


def test_the_tables_of_extras_are_complete() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    installing = {one for row in rows("docs/install.md", "extra") for one in row[0].split(", ")}
    reasons = {row[0] for row in rows("docs/dependencies.md", "extra")}
    assert installing == reasons == extras


def test_the_costs_of_clusters_follow_from_the_seconds_per_photo() -> None:
    """7.4 core seconds a photo, 0.04 a core hour, 0.3 MB read and 5.6 MB written: exactly, or to the digits shown."""
    units = {"minutes": 60, "hours": 3600, "days": 86400, "years": 365.25 * 86400}
    sizes = {"GB": 1e9, "TB": 1e12, "PB": 1e15}
    for photos, hours, cost, time, read, written in rows("docs/scale.md", "photos"):
        count = 10 ** int(photos.removeprefix("10^"))
        value, unit = time.split()
        assert float(hours.replace(" ", "")) == pytest.approx(count * 7.4 / 3600, rel=0.03)
        assert float(cost.replace(" ", "")) == pytest.approx(count * 7.4 / 3600 * 0.04, rel=0.04)
        assert float(value) * units[unit] == pytest.approx(count * 7.4 / 64, rel=0.04)
        for text, each in ((read, 0.32e6), (written, 5.6e6)):
            value, unit = text.split()
            assert float(value) * sizes[unit] == pytest.approx(count * each, rel=0.08)


def test_the_gain_of_ncnn_is_the_same_everywhere() -> None:
    """Of ncnn over torch alone, from the tables of the default model in docs/performance.md."""
    tables = re.findall(
        r"^\| (torch|ncnn) \| ([\d.]+) \| [\d.]+ \|", (ROOT / "docs/performance.md").read_text("utf-8"), re.M
    )
    seconds = [float(value) for _, value in tables[:4]]
    gains = sorted((seconds[0] / seconds[1], seconds[2] / seconds[3]))
    stated = f"{gains[0]:.1f} to {gains[1]:.1f} times"
    for name in ("docs/install.md", "docs/upscaling.md", "src/gramgan_cli/engines/doctor.py"):
        assert stated in page(name), (name, stated)
