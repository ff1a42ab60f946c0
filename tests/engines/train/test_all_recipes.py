"""Every recipe trains: its loss on a fixed batch falls, it resumes, and its weights upscale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import CropOptions, CropSampler
from gramgan_cli.core.data.prepared import prepare_photos
from gramgan_cli.engines.data.bank import build_bank
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.engines.train.steps.terms import needs_features
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe, recipe_names
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

SMALL: dict[str, dict[str, Any]] = {
    "compact": {"nf": 8, "nc": 2},
    "drunet": {"nc": [8, 8, 8, 8], "nb": 1},
    "rrdbnet": {"nf": 8, "nb": 1, "gc": 4},
    "srresnet": {"nf": 8, "nb": 1},
    "ttsr": {"nf": 8, "blocks": [1, 1, 1, 1]},
}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = blurred_noise(tmp_path_factory.mktemp("photos"), 3, (200, 160), by=4)
    build_bank(folder, folder / "bank.safetensors", max_patches=300)
    return folder


def crop_side(recipe: Recipe) -> int:
    """Small crops that the recipe's discriminator and losses accept."""
    if recipe.discriminator.arch == "esrgan":
        return 128
    return 56 if recipe.loss.excess or recipe.loss.spectrum else 32


def small(name: str, photos: Path) -> Recipe:
    """The recipe with a small network and, if the discriminator allows, small crops."""
    recipe = load_recipe(name)
    changes = {
        "network": SMALL[recipe.network["arch"]],
        "discriminator": {"nf": 4},
        "features": {"weights": "random"},
        # Random features are much smaller than ImageNet's, so the adversarial term would dominate.
        "loss": {"adversarial": 1e-3 * recipe.loss.adversarial},
        "texture": {"db": str(photos / "bank.safetensors")},
        "data": {"hr_crop": crop_side(recipe), "hr_dir": [str(photos)]},
        "optimizer": {"rate": 1e-3},
        "schedule": {"warmup": 0},
        "batch_size": 2,
    }
    return merge(recipe, changes)


PICTURE_TERMS = set(LOSS_TERMS) - {"adversarial", "discriminator"}
"""Terms that depend on the picture alone, not on what the discriminator has learned."""

QUICK = ("gramgan", "psnr", "srgan-res18-4", "srresnet", "ttsr-rec")
"""One recipe of each kind; the others take a minute together."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in recipe_names()]
)
def test_loss_on_one_batch_falls(name: str, photos: Path, tmp_path: Path) -> None:
    """The generator's objective without the adversarial term, which need not fall."""
    recipe = small(name, photos)
    torch.manual_seed(0)
    hyperparameters = {key: value for key, value in recipe.network.items() if key != "arch"}
    generator = archs.build(recipe.network["arch"], hyperparameters).train()
    kind = ContentTraining if recipe.discriminator.arch == "none" else GanTraining
    training = kind(generator, recipe, CPU, Group())
    with_references = recipe.data.references != "none"
    scale = archs.describe_network(recipe.network).scale
    prepared = prepare_photos(sorted(photos.glob("*.png")), scale, tmp_path)
    batch = CropSampler(
        prepared, scale, recipe.data.hr_crop, 2, 0, options=CropOptions(with_references=with_references)
    ).batch(0)
    losses = []
    for step in range(20):
        terms = training.step(batch, step)
        names = terms.keys() & PICTURE_TERMS
        losses.append(sum(getattr(recipe.loss, term) * float(terms[term]) for term in names))
        assert all(torch.isfinite(value) for value in terms.values())
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    for parameter in getattr(training.picture_terms.features, "parameters", list)():
        assert parameter.grad is None
        assert not parameter.requires_grad


def gramgan(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def settings(name: str) -> list[str]:
    """``--set`` options that shrink a recipe."""
    recipe = load_recipe(name)
    pairs = {f"network.{key}": value for key, value in SMALL[recipe.network["arch"]].items()}
    if recipe.discriminator.arch != "none":
        pairs["discriminator.nf"] = 4
    if needs_features(recipe) or recipe.network["arch"] == "ttsr":
        pairs["features.weights"] = "random"
    if recipe.stage:
        pairs["stage_steps"] = 1
    return [word for key, value in pairs.items() for word in ("--set", f"{key}={value}")]


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_runs_resumes_and_upscales(name: str, photos: Path, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    crop, out, scale = crop_side(recipe), tmp_path / "run", archs.describe_network(recipe.network).scale
    words = ["--recipe", name, "--hr-dir", photos, "--device", "cpu", "--out", out]
    words += ["--db", photos / "bank.safetensors"] if recipe.loss.texture else []
    small_size = ["--hr-crop", crop, "--batch-size", 2, "--valid-every", 10]
    gramgan("train", *words, *small_size, "--steps", 20, *settings(name))
    gramgan("train", "--out", out, "--resume", "--steps", 22)
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(picture)
    reference = ["--ref", photos / "0.png"] if name.startswith("ttsr") else []
    gramgan("upscale", picture, "-o", tmp_path / "out.png", "--model", out / "last.safetensors", *reference)
    assert Image.open(tmp_path / "out.png").size == (24 * scale, 20 * scale)
    if not reference:
        gramgan("bench", photos, "--model", out / "last.safetensors", "--json")
