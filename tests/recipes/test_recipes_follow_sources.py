"""Recipes against the values that their sources state (SRGAN's two write-ups, ESRGAN, TTSR)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gramgan_cli.core import archs
from gramgan_cli.recipes.load import load_recipe, recipe_names
from gramgan_cli.recipes.schema import Recipe

SYSTEMS = Path(__file__).resolve().parents[2] / "docs" / "systems.md"
WRITE_UP_A = [name for name in recipe_names() if name.startswith(("srresnet", "srgan")) and "tutorial" not in name]
TAPS = {
    "vgg": ("vgg19", {"conv5_4": 1.0}),
    "res18-4": ("resnet18", {"block4": 1.0}),
    "res34-3": ("resnet34", {"block3": 1.0}),
    "res34-5": ("resnet34", {"block5": 1.0}),
}
"""Write-up A's extractors: VGG19 (5, 4), ResNet-18 block 4, ResNet-34 blocks 3 and 5."""


def value(recipe: Recipe, key: str) -> Any:
    table, _, name = key.partition(".")
    if table == "network":
        network = dict(recipe.network)
        return archs.complete(network.pop("arch"), network)[name]
    found = getattr(recipe, table)
    return getattr(found, name) if name else found


@pytest.mark.parametrize("name", WRITE_UP_A)
def test_write_up_a(name: str) -> None:
    """Crops of 128 rotated by up to 10 degrees and flipped; convolutions without bias; validation on the centre."""
    recipe = load_recipe(name)
    expected = {
        "network.bias": False,
        "data.hr_crop": 128,
        "data.rotation": 10.0,
        "data.flips": "horizontal",
        "data.valid_crop": 128,
        "valid_loss": True,
        "batch_size": 16,
        "optimizer.rate": 1e-4,
        "loss.content_range": "unit",
    }
    assert {key: value(recipe, key) for key in expected} == expected
    assert not recipe.loss.content or recipe.loss.content_distance == "mse"
    gan = name.startswith("srgan")
    content, features = {  # (content, features): SRResNet's hybrids 0.7 + 0.3, SRGAN's 0.6 + 0.4
        (False, "plain"): (1.0, 0.0), (False, "features"): (0.0, 1.0), (False, "hybrid"): (0.7, 0.3),
        (True, "plain"): (1.0, 0.0), (True, "features"): (0.0, 1.0), (True, "hybrid"): (0.6, 0.4),
    }[gan, kind_of(name)]  # fmt: skip
    assert (recipe.loss.content, recipe.loss.perceptual) == (content, features)
    assert recipe.loss.adversarial == (1e-3 if gan else 0)
    assert recipe.discriminator.arch == ("srgan" if gan else "none")
    if gan:
        assert (recipe.loss.adversarial_form, recipe.stage) == ("gan", "srresnet")
    if features:
        tap = next((tap for tap in TAPS if name.endswith(tap)), "vgg")
        assert (recipe.features.extractor, dict(recipe.features.taps)) == TAPS[tap]
        assert (recipe.features.activated, recipe.features.distance) == (True, "mse")
        assert not recipe.features.imagenet_norm, "its extractors see plain [0, 1] images"


def kind_of(name: str) -> str:
    """Content alone, features alone, or a mixture of both."""
    if name in ("srresnet", "srgan-mse"):
        return "plain"
    return "hybrid" if "-mse-" in name else "features"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "srresnet-tutorial",
            {
                "network.input_range": "imagenet",
                "network.output": "tanh",
                "loss.content": 1.0,
                "loss.content_distance": "mse",
                "loss.content_range": "signed",
                "data.hr_crop": 96,
                "batch_size": 16,
                "steps": 1_000_000,
                "optimizer.rate": 1e-4,
            },
        ),
        (
            "srgan-tutorial",
            {
                "discriminator.arch": "srgan",
                "discriminator.input_range": "imagenet",
                "features.extractor": "vgg19",
                "features.taps": {"conv5_4": 1.0},
                "features.activated": True,
                "features.distance": "mse",
                "features.imagenet_norm": True,
                "loss.perceptual": 1.0,
                "loss.adversarial": 1e-3,
                "steps": 200_000,
                "schedule.milestones": (100_000,),
                "schedule.factor": 0.1,
            },
        ),
        (
            "esrgan",
            {
                "network.upsampler": "nearest",
                "discriminator.arch": "esrgan",
                "features.taps": {"conv5_4": 1.0},
                "features.activated": False,
                "loss.content": 0.01,
                "loss.perceptual": 1.0,
                "loss.adversarial": 0.005,
                "loss.adversarial_form": "ragan",
                "data.hr_crop": 128,
            },
        ),
        (
            "ttsr",
            {
                "loss.content": 1.0,
                "loss.content_distance": "l1",
                "loss.content_range": "signed",
                "loss.perceptual": 0.01,
                "loss.transferal": 0.01,
                "loss.adversarial": 1e-3,
                "loss.adversarial_form": "wgan-gp",
                "discriminator.arch": "ttsr",
                "discriminator.input_range": "signed",
                "features.taps": {"conv5_1": 1.0},
                "features.activated": True,
                "features.distance": "mse",
                "optimizer.rate": 1e-4,
                "optimizer.extractor_rate": 1e-5,
                "optimizer.discriminator_beta1": 0.0,
                "optimizer.discriminator_beta2": 0.9,
                "data.hr_crop": 160,
                "batch_size": 9,
            },
        ),
        ("ttsr-rec", {"loss.content": 1.0, "loss.content_distance": "l1", "loss.content_range": "signed"}),
    ],
)
def test_other_sources(name: str, expected: dict[str, Any]) -> None:
    recipe = load_recipe(name)
    assert {key: value(recipe, key) for key in expected} == expected


def test_averaged_weights_are_named_as_a_deviation() -> None:
    """The sources keep raw weights; all recipes average, and the page gives the setting that keeps the raw ones."""
    averages = {load_recipe(name).optimizer.ema for name in recipe_names()}
    assert max(averages) > 0
    assert 0 not in averages, "otherwise the page would have to say which recipes average"
    text = SYSTEMS.read_text(encoding="utf-8")
    assert "exponential moving average" in text
    assert "--set optimizer.ema=0" in text


def test_deviations_name_each_source() -> None:
    text = SYSTEMS.read_text(encoding="utf-8").partition("## What deviates")[2]
    for source in ("Gram-GAN", "write-up A", "write-up B", "ESRGAN", "TTSR", "Real-ESRGAN"):
        assert f"| {source}" in text, source
    for absent in ("`range_norm`", "weight clipping"):
        assert absent in text, absent
