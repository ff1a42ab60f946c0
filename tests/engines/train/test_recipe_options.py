"""Recipe options beyond the papers': ranges, more loss terms, adversarial forms, AdamW, best_loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from feature_file import random_vgg16
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from train_photos import blurred_noise

from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize.matlab import make_lr
from gramgan_cli.core.weights.header import read_header
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.launch import train
from gramgan_cli.engines.train.options import TrainOptions
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.engines.train.steps.generate import Generated
from gramgan_cli.engines.train.steps.terms import PictureTerms, extractor_of
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.schema import Recipe

CPU = torch.device("cpu")
NETWORK = {"arch": "compact", "nf": 8, "nc": 1}


def recipe(**changes: Any) -> Recipe:
    return merge(merge(Recipe(), {"network": NETWORK, "data": {"hr_crop": 32}, "batch_size": 2}), changes)


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lr, hr = torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 32, 32, generator=generator)
    return Batch(lr, hr, ("a.png",) * 2)


def terms(wanted: Recipe, sr: torch.Tensor, hr: torch.Tensor) -> dict[str, torch.Tensor]:
    return PictureTerms(torch.nn.Identity(), wanted, "fp32", CPU, Group())(Generated(sr, None), hr, 0)


@pytest.mark.parametrize(("distance", "factor"), [("l1", 2), ("mse", 4)])
def test_content_in_minus_one_to_one(distance: str, factor: int) -> None:
    sr, hr = batch().hr, batch(1).hr
    plain = F.l1_loss(sr, hr) if distance == "l1" else F.mse_loss(sr, hr)
    signed = terms(recipe(loss={"content_range": "signed", "content_distance": distance}), sr, hr)["content"]
    torch.testing.assert_close(signed, factor * plain)


def test_extractors_without_imagenet_normalisation_see_the_picture_itself() -> None:
    wanted = recipe(features={"weights": "random", "taps": {"conv1_1": 1.0}, "imagenet_norm": False})
    extractor, picture = extractor_of(wanted), batch().hr
    expected = F.conv2d(picture, extractor.layers[0].weight, extractor.layers[0].bias, padding=1)
    torch.testing.assert_close(extractor(picture)["conv1_1"], expected)
    normed = extractor_of(merge(wanted, {"features": {"imagenet_norm": True}}))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(normed(mean + std * picture)["conv1_1"], expected, atol=1e-5)


def gan(**changes: Any) -> Recipe:
    base = recipe(loss={"adversarial": 1.0, "adversarial_form": "gan"}, discriminator={"arch": "srgan", "nf": 4})
    return merge(base, changes)


def made(wanted: Recipe) -> GanTraining:
    torch.manual_seed(0)
    hyperparameters = {key: value for key, value in NETWORK.items() if key != "arch"}
    return GanTraining(archs.build("compact", hyperparameters).train(), wanted, CPU, Group())


@pytest.mark.parametrize("which", ["unit", "signed", "imagenet"])
def test_the_discriminator_sees_its_range(which: str) -> None:
    training, seen = made(gan(discriminator={"input_range": which})), list[torch.Tensor]()
    training.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    hr = batch().hr
    training.step(batch(), 0)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = {"unit": hr, "signed": 2 * hr - 1, "imagenet": (hr - mean) / std}[which]
    assert any(torch.allclose(image, expected, atol=1e-6) for image in seen if image.shape == hr.shape)


@pytest.mark.parametrize("form", ["lsgan", "wgan"])
def test_adversarial_forms_without_a_penalty(form: str) -> None:
    """The generator's term, from the discriminator's logits after the discriminator's step."""
    training = made(gan(loss={"adversarial_form": form}))
    sr = training.network(batch().lr).detach()
    values = training.step(batch(), 0)
    logit = training.discriminator.train()(sr).detach()
    expected = 0.5 * (logit - 1).square().mean() if form == "lsgan" else -logit.mean()
    torch.testing.assert_close(values["adversarial"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("term", ["ssim", "wavelet", "artifacts", "style", "means"])
def test_each_optional_term_alone_moves_the_network(term: str) -> None:
    features = {"weights": "random", "taps": {"conv1_2": 1.0}}
    wanted = recipe(loss={"content": 0.0, term: 1.0}, features=features)
    check_recipe(wanted)
    torch.manual_seed(0)
    generator = archs.build("compact", {"nf": 8, "nc": 1}).train()
    before = [parameter.detach().clone() for parameter in generator.parameters()]
    values = ContentTraining(generator, wanted, CPU, Group()).step(batch(), 0)
    assert list(values) == [term]
    assert all(not torch.equal(a, b) for a, b in zip(before, generator.parameters(), strict=True))


def test_ms_ssim_asks_for_crops_that_it_takes() -> None:
    with pytest.raises(UsageError, match="ms_ssim needs crops of at least 176"):
        check_recipe(recipe(loss={"ms_ssim": 1.0}))
    check_recipe(recipe(loss={"ms_ssim": 1.0}, data={"hr_crop": 176}))


def test_adamw_shrinks_the_weights_by_their_own_share() -> None:
    """Without a gradient, AdamW gives w (1 - rate decay), and Adam w."""
    wanted = recipe(loss={"content": 1.0}, optimizer={"name": "adamw", "weight_decay": 0.1, "rate": 0.01})
    check_recipe(wanted)
    generator = archs.build("compact", {"nf": 8, "nc": 1}).train()
    training = ContentTraining(generator, wanted, CPU, Group())
    before = [parameter.detach().clone() for parameter in generator.parameters()]
    for parameter in generator.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for optimiser in training.optimisers.values():
        optimiser.step()
    for old, new in zip(before, generator.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (1 - 0.01 * 0.1))
    with pytest.raises(UsageError, match="works only with AdamW"):
        check_recipe(recipe(optimizer={"weight_decay": 0.1}))


def test_a_penalty_without_a_discriminator_is_refused() -> None:
    with pytest.raises(UsageError, match=r"discriminator\.penalty needs a discriminator"):
        check_recipe(recipe(loss={"content": 1.0}, discriminator={"penalty": 0.002}))


def test_validation_loss_is_a_curve_and_keeps_its_best_with_the_discriminator(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        Image.fromarray(rng.integers(0, 256, (64, 72, 3), dtype=np.uint8)).save(photos / f"{number}.png")
    settings = {
        "network": NETWORK,
        "data": {"hr_dir": [str(photos)], "hr_crop": 32, "valid_crop": 40},
        "loss": {"adversarial": 1e-3, "adversarial_form": "gan"},
        "discriminator": {"arch": "srgan", "nf": 4},
        "steps": 2,
        "valid_every": 1,
        "batch_size": 2,
        "valid_loss": True,
    }
    train(TrainOptions(recipe="psnr", settings=[settings], out=tmp_path / "run", device="cpu"), TrainCallbacks)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["valid_loss"] for row in rows if "valid_loss" in row]
    header = read_header(tmp_path / "run" / "best_loss.safetensors")
    assert header.metrics["validation"]["valid_loss"] == min(losses)
    # L1 of the middle 40 x 40 of the held-out photo, by hand, from the network's unrounded output.
    hr = np.asarray(Image.open(photos / "1.png"))
    lr = make_lr(hr, 4)[3:13, 4:14]
    network = load_model(str(tmp_path / "run" / "last.safetensors")).network
    with torch.inference_mode():
        sr = network(torch.from_numpy(lr.copy()).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0).numpy()
    assert losses[-1] == pytest.approx(np.abs(sr - hr[12:52, 16:56] / 255).mean(), rel=1e-4)
    kept = load_file(tmp_path / "run" / "state" / "discriminator_best_psnr.safetensors")
    assert {"discriminator/" + key for key in kept} <= set(load_file(tmp_path / "run" / "state" / "state.safetensors"))


def test_dists_as_a_loss_looks_through_the_weights_that_are_named(tmp_path: Path) -> None:
    pytest.importorskip("torchmetrics", reason="needs the extra metrics")
    from gramgan_cli.core.metrics.dists import Dists

    weights = random_vgg16()
    save_file(weights, tmp_path / "vgg16.safetensors")
    sr, hr = batch().hr.requires_grad_(True), batch(1).hr
    expected = float(Dists(weights)(sr.detach(), hr).mean())
    for named in ("random", str(tmp_path / "vgg16.safetensors")):
        found = terms(recipe(loss={"dists": 1.0}, features={"weights": named}), sr, hr)["dists"]
        assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert sr.grad is not None
    nearer = sr.detach() - 0.05 * sr.grad / sr.grad.abs().max()
    assert float(Dists(weights)(nearer, hr).mean()) < expected


def test_the_artifact_term_asks_the_averaged_network(tmp_path: Path) -> None:
    wanted, lr = recipe(loss={"artifacts": 1.0}), batch().lr
    sr, hr = batch().hr, batch(1).hr

    class Always(torch.nn.Module):
        def __init__(self, image: torch.Tensor) -> None:
            super().__init__()
            self.image = image

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert torch.equal(x, lr)
            return self.image

    made = PictureTerms(torch.nn.Identity(), wanted, "fp32", CPU, Group())
    whole = made(Generated(sr, None, lr), hr, 0)["artifacts"]
    made.average = Always(hr)  # without artifacts, so all of SR's count
    torch.testing.assert_close(made(Generated(sr, None, lr), hr, 0)["artifacts"], whole)
    made.average = Always(hr + 9)  # worse everywhere, so SR has none to unlearn
    assert float(made(Generated(sr, None, lr), hr, 0)["artifacts"]) == 0
    photos = blurred_noise(tmp_path / "photos", 3, (96, 72), by=3)
    settings = {
        "network": NETWORK,
        "data": {"hr_dir": [str(photos)], "hr_crop": 32},
        "loss": {"artifacts": 1.0},
        "steps": 1,
        "batch_size": 2,
    }
    train(
        TrainOptions(recipe="psnr", settings=[settings], out=tmp_path / "run", device="cpu", store=False),
        TrainCallbacks,
    )
    assert (tmp_path / "run" / "last.safetensors").is_file()
