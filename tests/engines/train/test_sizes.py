"""Crops and photos of sizes that the network does not accept are padded in training, validation and after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gramgan_cli.core import archs
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.features import FeatureExtractor, least_side
from gramgan_cli.core.metrics import psnr_y
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.core.weights.header import read_header
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.check_recipe import check_recipe, least_sides
from gramgan_cli.engines.train.launch import train
from gramgan_cli.engines.train.options import TrainOptions
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe, recipe_names


@pytest.mark.parametrize(("scale", "hr_crop"), [(2, 66), (1, 30)])
def test_a_network_that_unshuffles_its_input_trains_measures_and_resumes(
    scale: int, hr_crop: int, tmp_path: Path
) -> None:
    """RRDBNet at x2 and x1 takes multiples of four, padded like in spandrel; 66 / 2 = 33 and 77 x 71 are not."""
    rng = np.random.default_rng(0)
    for number in range(2):
        pixels = rng.integers(0, 256, (71 * scale, 77 * scale, 3), dtype=np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    settings = {
        "network": {"arch": "rrdbnet", "nf": 8, "nb": 1, "gc": 4, "scale": scale},
        "data": {"hr_dir": [str(tmp_path / "photos")], "hr_crop": hr_crop},
        "steps": 2,
        "valid_every": 1,
        "save_every": 1,
        "batch_size": 2,
        "optimizer": {"rate": 0.0},
    }
    out = tmp_path / "run"
    train(TrainOptions(recipe="psnr", settings=[settings], out=out, device="cpu"), TrainCallbacks)
    train(TrainOptions(recipe="psnr", settings=[{"steps": 3}], out=out, device="cpu", resume=True), TrainCallbacks)
    # The held-out photo, padded by NumPy with reflection at the right and bottom edges.
    hr = np.asarray(Image.open(tmp_path / "photos" / "1.png"))
    lr, multiple = make_lr(hr, scale) if scale > 1 else hr, 4 if scale < 4 else 1
    spare = [(-side) % multiple for side in lr.shape[:2]]
    padded = np.pad(lr, ((0, spare[0]), (0, spare[1]), (0, 0)), mode="reflect")
    network = load_model(str(out / "last.safetensors")).network
    with torch.inference_mode():
        sr = network(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0).numpy()
    levels = np.floor(np.clip(sr, 0, 1) * 255 + 0.5).astype(np.uint8)[: hr.shape[0], : hr.shape[1]]
    measured = read_header(out / "last.safetensors").metrics["validation"]["psnr_y"]
    assert measured == pytest.approx(psnr_y(levels, hr, scale), abs=1e-3)
    assert archs.describe("rrdbnet", {"scale": scale}).multiple_of == multiple


def test_a_crop_that_is_no_multiple_of_the_scale_is_refused_with_valid_sizes() -> None:
    with pytest.raises(UsageError, match="multiple of the scale") as error:
        check_recipe(merge(load_recipe("psnr"), {"data": {"hr_crop": 66}}))
    assert "64 or 68" in str(error.value)
    with pytest.raises(UsageError, match="validation crop"):
        check_recipe(merge(load_recipe("psnr"), {"data": {"valid_crop": 50}}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {"means": 1.0}, "data": {"hr_crop": 4}}, r"loss\.means needs crops of at least 8 px"),
        ({"loss": {"perceptual": 1.0}, "data": {"hr_crop": 8}}, r"loss\.perceptual needs crops of at least 16 px"),
        (
            {"loss": {"perceptual": 1.0}, "data": {"hr_crop": 32}, "features": {"jitter": 20}},
            r"features\.jitter=20 leaves too little",
        ),
        (
            {"loss": {"ms_ssim": 0.1}, "data": {"hr_crop": 176, "valid_crop": 128}, "valid_loss": True},
            r"loss\.ms_ssim needs validation crops of at least 176 px",
        ),
        ({"loss": {"phase": 1.0}, "network": {"arch": "drunet"}}, r"loss\.phase .* needs a scale above 1"),
    ],
)
def test_sizes_that_a_term_can_not_take_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_recipe(merge(load_recipe("psnr"), changes))


@pytest.mark.parametrize("name", recipe_names())
def test_built_in_recipes_have_crops_that_their_terms_take(name: str) -> None:
    recipe = load_recipe(name)
    for term, side in least_sides(recipe).items():
        assert recipe.data.hr_crop - recipe.features.jitter >= side, term


@pytest.mark.parametrize("tap", ["conv1_2", "conv3_1", "conv5_4"])
def test_the_least_side_of_features_is_the_smallest_that_runs(tap: str) -> None:
    side = least_side("vgg19", [tap])
    extractor = FeatureExtractor("vgg19", [tap], weights="random")
    assert extractor(torch.rand(1, 3, side, side))[tap].numel()
    if side > 1:
        with pytest.raises(RuntimeError):
            extractor(torch.rand(1, 3, side - 1, side - 1))
