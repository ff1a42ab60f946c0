"""The models embedded in the package, and those in the repository."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.metrics.psnr import psnr_y
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.resize.matlab import crop_to_multiple, make_lr
from gramgan_cli.core.weights.catalogue import read_catalogue
from gramgan_cli.core.weights.embedded import embedded_models
from gramgan_cli.core.weights.load import LoadedModel, load_model
from gramgan_cli.engines.models.export import ExportOptions, export

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
LARGEST = 3_000_000
PHOTOS = ["chelsea.png", "coffee.png", "brick.png"]
OURS = [*sorted(embedded_models()), *(name for name, entry in read_catalogue().items() if not entry.url)]


@pytest.fixture
def clean() -> LoadedModel:
    return load_model("clean")


@pytest.mark.parametrize("name", sorted(embedded_models()))
def test_each_embedded_model_is_small(name: str) -> None:
    assert len(embedded_models()[name].read_bytes()) <= LARGEST


@pytest.mark.parametrize("name", OURS)
def test_each_model_records_its_origin(name: str) -> None:
    header = load_model(name).header
    assert header.licence != "unknown"
    assert {"recipe", "steps", "hours", "machine", "seed"} <= header.training.keys()
    assert {"Set5", "Set14"} <= header.metrics.keys()


@pytest.mark.parametrize("name", OURS)
def test_every_photo_that_it_was_trained_on_is_credited(name: str) -> None:
    credits = (resources.files("gramgan_cli") / "weights" / "CREDITS.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in credits.splitlines() if line.startswith("| ")][1:]
    of = {row[0]: row for row in rows}
    names = load_model(name).header.training["photo_names"]
    assert names
    for photo in names:
        assert len(of[photo]) == 5, photo
        assert all(cell.strip() for cell in of[photo]), photo


@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
@pytest.mark.parametrize("name", OURS)
def test_bench_gives_the_numbers_on_the_card(name: str, dataset: str, shared_data: Path) -> None:
    words = ["bench", dataset, "--data-dir", str(shared_data), "--model", name, "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["results"]
    card = load_model(name).header.metrics[dataset]
    assert row["psnr_y"] == pytest.approx(card["psnr_y"], abs=0.01)
    assert row["ssim_y"] == pytest.approx(card["ssim_y"], abs=0.0005)


def test_spandrel_loads_the_file_as_it_is(clean: LoadedModel, tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel")
    file = tmp_path / "clean.safetensors"
    file.write_bytes((resources.files("gramgan_cli") / "weights" / "clean.safetensors").read_bytes())
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(file)
    assert theirs.scale == clean.descriptor.scale
    x = torch.rand(1, 3, 24, 20)
    with torch.no_grad():
        assert torch.equal(theirs.model(x), clean.network(x))


def example(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """HR and LR of an example photo's corner."""
    hr = crop_to_multiple(np.asarray(Image.open(EXAMPLES / name).convert("RGB"))[:256, :256], 4)
    return hr, make_lr(hr, 4)


def result_psnr(network: torch.nn.Module, hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> float:
    x = torch.from_numpy(lr.copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        y = network(x)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().byte().numpy()
    return psnr_y(y, hr, 4)


@pytest.mark.parametrize("name", PHOTOS)
def test_the_embedded_model_beats_every_interpolation(clean: LoadedModel, name: str) -> None:
    hr, lr = example(name)
    ours = result_psnr(clean.network, hr, lr)
    assert all(ours > psnr_y(enlarge(lr), hr, 4) + 0.3 for enlarge in BASELINES.values())


def test_style_goes_from_the_faithful_to_the_rich_without_a_dip() -> None:
    """Between compatible weights, the squared error is convex in style, so no quarter costs less than the one before.
    Mixtures of trainings that diverged get worse first and then recover. (Sharp photos gain in the first quarters.)"""
    photos = [example(name) for name in PHOTOS]
    styles = ["clean", *(f"clean+clean-gan@{share}" for share in (0.25, 0.5, 0.75)), "clean-gan"]
    networks = [load_model(style).network for style in styles]
    means = [np.mean([result_psnr(network, *photo) for photo in photos]) for network in networks]
    costs = -np.diff(means)
    assert (np.diff(costs) > -0.02).all(), means


@pytest.mark.parametrize(("name", "cleans"), [("photo-gan", True), ("photo+photo-gan@0.5", True), ("clean", False)])
def test_export_names_the_network_that_cleans_before(name: str, cleans: bool, tmp_path: Path) -> None:
    notes: list[str] = []
    export(name, tmp_path / "weights.safetensors", ExportOptions(), notes.append)
    assert any("'restore'" in note for note in notes) == cleans
