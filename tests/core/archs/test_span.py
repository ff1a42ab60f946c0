"""SPAN against spandrel's version with the same weights, its merged convolutions and its receptive radius."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from train_photos import plain_noise

from gramgan_cli.core import archs
from gramgan_cli.core.archs.span import MergedConvolution
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.export import ExportOptions, export
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.launch import train
from gramgan_cli.engines.train.options import TrainOptions

SMALL = {"nf": 8}


@pytest.mark.parametrize("more", [{}, {"norm": True}, {"scale": 2}, {"in_nc": 1, "out_nc": 1}])
def test_spandrel_loads_its_weights_and_gives_the_same_picture(more: dict[str, Any]) -> None:
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    torch.manual_seed(0)
    network = archs.build("span", {**SMALL, **more}).eval()
    theirs = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(network.state_dict()))
    assert (theirs.architecture.id, theirs.scale) == ("SPAN", more.get("scale", 4))
    x = torch.rand(1, more.get("in_nc", 3), 11, 13)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), theirs.model(x), rtol=1e-5, atol=1e-5)


def test_a_merged_convolution_is_its_branches() -> None:
    torch.manual_seed(0)
    layer = MergedConvolution(3, 5).double()
    x = torch.rand(2, 3, 7, 6, dtype=torch.float64)
    branches = layer.conv(F.pad(x, (1, 1, 1, 1))) + layer.sk(x)
    torch.testing.assert_close(layer.train()(x), branches, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.eval()(x), branches, rtol=0, atol=1e-12)


def test_saved_weights_are_merged_even_during_training() -> None:
    layer = MergedConvolution(3, 5).train()
    with torch.no_grad():
        layer.sk.weight.add_(1)
    stored = {key: value.clone() for key, value in layer.state_dict().items()}
    torch.testing.assert_close(stored["eval_conv.weight"], layer.merged()[0])
    other = MergedConvolution(3, 5).eval()
    other.load_state_dict({**stored, "eval_conv.weight": torch.zeros_like(stored["eval_conv.weight"])})
    torch.testing.assert_close(other.eval_conv.weight, stored["eval_conv.weight"])


def test_the_receptive_radius_is_exact() -> None:
    torch.manual_seed(0)
    network = archs.build("span", {"nf": 2}).eval().double()
    radius = archs.describe("span", {"nf": 2}).receptive_radius
    x = torch.rand(1, 3, 2 * radius + 9, 3, dtype=torch.float64, requires_grad=True)
    middle = x.shape[2] // 2
    network(x)[0, :, 4 * middle].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (int(reached.min()), int(reached.max())) == (middle - radius, middle + radius)


def test_a_mean_colour_needs_colours() -> None:
    with pytest.raises(GramganError, match="norm"):
        archs.build("span", {**SMALL, "in_nc": 1, "out_nc": 1, "norm": True})


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_it_trains_and_its_weights_load(optimiser: str, tmp_path: Path) -> None:
    photos = plain_noise(tmp_path / "photos", 2, 48)
    settings = {
        "network": {"arch": "span", **SMALL},
        "data": {"hr_dir": [str(photos)], "hr_crop": 32},
        "optimizer": {"name": optimiser},
        "steps": 2,
        "batch_size": 2,
    }
    train(
        TrainOptions(recipe="psnr", settings=[settings], out=tmp_path / "run", device="cpu", store=False),
        TrainCallbacks,
    )
    model = load_model(str(tmp_path / "run" / "last.safetensors"))
    assert (model.descriptor.arch, model.descriptor.scale) == ("span", 4)
    for layer in model.network.modules():
        if isinstance(layer, MergedConvolution):
            torch.testing.assert_close(layer.eval_conv.weight, layer.merged()[0])


def test_its_onnx_file_gives_the_same_picture(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    torch.manual_seed(0)
    facts = archs.complete("span", SMALL)
    weights = archs.build("span", SMALL).state_dict()
    save_weights(tmp_path / "span.safetensors", weights, WeightsHeader("span", facts, 4))
    model = load_model(str(tmp_path / "span.safetensors"))
    export(str(tmp_path / "span.safetensors"), tmp_path / "span.onnx", ExportOptions())
    x = torch.rand(1, 3, 11, 13)
    (found,) = onnxruntime.InferenceSession(tmp_path / "span.onnx").run(None, {"image": x.numpy()})
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(found), model.network(x), rtol=0, atol=1e-5)
