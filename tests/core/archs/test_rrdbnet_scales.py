"""RRDBNet at x3 and x8: against plain upsampling, spandrel, and saving and loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from train_photos import plain_noise

from gramgan_cli.core import archs
from gramgan_cli.core.weights.foreign import convert
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.export import ExportOptions, export
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.launch import train
from gramgan_cli.engines.train.options import TrainOptions

SMALL: dict[str, Any] = {"nf": 8, "nb": 1, "gc": 32}


@pytest.mark.parametrize(("scale", "factors"), [(3, (3,)), (8, (2, 2, 2))])
@pytest.mark.parametrize("upsampler", ["nearest", "pixelshuffle"])
def test_the_steps_of_other_scales(scale: int, factors: tuple[int, ...], upsampler: str) -> None:
    """The layers after the trunk, written out in float64."""
    torch.manual_seed(0)
    network = archs.build("rrdbnet", {**SMALL, "scale": scale, "upsampler": upsampler}).double().eval()
    weights = network.state_dict()

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    x = torch.rand(1, 3, 7, 5, dtype=torch.float64)
    with torch.inference_mode():
        features = conv(x, "conv_first")
        features = features + conv(network.get_submodule("trunk")(features), "trunk_conv")
        for number, factor in enumerate(factors, 1):
            if upsampler == "nearest":
                larger = features.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
                features = F.leaky_relu(conv(larger, f"upconv{number}"), 0.2)
            else:
                features = F.leaky_relu(F.pixel_shuffle(conv(features, f"upconv{number}"), factor), 0.2)
        expected = conv(F.leaky_relu(conv(features, "hr_conv"), 0.2), "conv_last")
        found = network(x)
    assert found.shape == (1, 3, 7 * scale, 5 * scale)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [3, 8])
def test_it_starts_from_an_enlargement_without_a_pattern(scale: int) -> None:
    torch.manual_seed(0)
    network = archs.build("rrdbnet", {**SMALL, "scale": scale})
    kernels = network.state_dict()["upconv1.weight"]
    group = 9 if scale == 3 else 4
    assert torch.equal(kernels, kernels[::group].repeat_interleave(group, 0))


def trained(scale: int, tmp_path: Path) -> Path:
    settings = {
        "network": {"arch": "rrdbnet", **SMALL, "upsampler": "nearest", "scale": scale},
        "data": {"hr_dir": [str(plain_noise(tmp_path / "photos", 2, 72))], "hr_crop": 48},
        "steps": 1,
        "batch_size": 2,
    }
    train(
        TrainOptions(recipe="psnr", settings=[settings], out=tmp_path / "run", device="cpu", store=False),
        TrainCallbacks,
    )
    return tmp_path / "run" / "last.safetensors"


def test_trained_x8_loads_in_spandrel_and_comes_back(tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    weights = trained(8, tmp_path)
    export(str(weights), tmp_path / "x8.safetensors", ExportOptions())
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "x8.safetensors")
    assert (theirs.architecture.id, theirs.scale) == ("ESRGAN", 8)
    x = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        torch.testing.assert_close(load_model(str(weights)).network(x), theirs.model(x), rtol=0, atol=1e-6)
    from safetensors.torch import load_file, save_file

    save_file(load_file(tmp_path / "x8.safetensors"), tmp_path / "bare.safetensors")  # no header
    header, _ = convert(tmp_path / "bare.safetensors", None, {})
    assert (header.arch, header.scale) == ("rrdbnet", 8)


def test_x3_says_that_others_take_it_for_x2(tmp_path: Path) -> None:
    weights = trained(3, tmp_path)
    notes: list[str] = []
    export(str(weights), tmp_path / "x3.safetensors", ExportOptions(), notes.append)
    assert any("x2" in note for note in notes)
    again, _ = convert(tmp_path / "x3.safetensors", None, {})
    assert again.scale == 3
    assert load_model(str(tmp_path / "x3.safetensors")).descriptor.scale == 3
