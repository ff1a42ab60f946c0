"""Padding to a network's sizes, against numpy's reflection and spandrel."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.tiling.padding import pad_to_multiple, run_padded
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import LoadedModel
from gramgan_cli.engines.models.export import export_safetensors
from gramgan_cli.engines.upscale.upscaler import Upscaler

CPU = torch.device("cpu")


@pytest.mark.parametrize(("height", "width", "multiple"), [(10, 13, 8), (16, 9, 8), (5, 6, 4), (8, 8, 8), (17, 12, 1)])
def test_it_reflects_without_repeating_the_edge(height: int, width: int, multiple: int) -> None:
    x = torch.rand(2, 3, height, width, dtype=torch.float64)
    bottom, right = -height % multiple, -width % multiple
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (0, bottom), (0, right)), mode="reflect")
    assert np.array_equal(pad_to_multiple(x, multiple).numpy(), expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (1, 9), (7, 5)])
def test_pictures_smaller_than_their_padding_equal_spandrels(height: int, width: int) -> None:
    size_req = pytest.importorskip("spandrel.__helpers.size_req", reason="needs the extra interop")
    x = torch.rand(1, 3, height, width)
    _, expected = size_req.pad_tensor(x, size_req.SizeRequirements(multiple_of=16))
    assert torch.equal(pad_to_multiple(x, 16), expected)


class Blocks(nn.Module):
    """Upscales by two and mixes each pixel with its whole 8x8 cell, so that the padding affects the picture."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-2] % 8 == x.shape[-1] % 8 == 0
        means = nn.functional.interpolate(nn.functional.avg_pool2d(x, 8), scale_factor=8)
        return nn.functional.interpolate((x + means) / 2, scale_factor=2)


def test_the_networks_output_is_cropped_and_gradients_pass() -> None:
    x = torch.rand(1, 3, 11, 14, requires_grad=True)
    out = run_padded(Blocks(), x, 8, 2)
    assert out.shape == (1, 3, 22, 28)
    out.sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).all())


@pytest.mark.parametrize("tile", [0, 8])
def test_upscaling_pads_the_same_way(tile: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (19, 29, 3), np.uint8)
    model = SimpleNamespace(
        network=Blocks(),
        descriptor=Descriptor("blocks", 2, 3, 3, multiple_of=8, receptive_radius=8, dtypes=("fp32",)),
    )
    model.network.unused = nn.Parameter(torch.zeros(1))
    with torch.no_grad():
        x = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
        padded = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, 5), (0, 3)), mode="reflect"))
        expected = model.network(padded)[0, :, :38, :58].permute(1, 2, 0).numpy() * 255
    assert np.abs(Upscaler(model, CPU, tile=tile).upscale(image) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(13, 17), (18, 31)])
@pytest.mark.parametrize("scale", [1, 2])
def test_an_unshuffling_rrdbnet_equals_spandrels_up_to_the_border(
    height: int, width: int, scale: int, tmp_path: Path
) -> None:
    """RealESRGAN_x2plus's layout: the input is pixel-unshuffled, so its sides must be divisible."""
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    hyperparameters = {"nf": 16, "nb": 1, "gc": 32, "scale": scale, "upsampler": "nearest"}
    torch.manual_seed(0)
    network = archs.build("rrdbnet", hyperparameters)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    nn.init.constant_(network.conv_last.bias, 0.5)
    model = LoadedModel(
        "m",
        network.eval(),
        WeightsHeader("rrdbnet", hyperparameters, scale),
        archs.describe("rrdbnet", hyperparameters),
    )
    export_safetensors(model, tmp_path / "m.safetensors")
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "m.safetensors")
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with torch.no_grad():
        expected = (
            theirs(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0).numpy() * 255
        )
    assert expected.std() > 5
    assert np.abs(Upscaler(model, CPU).upscale(image) - expected).max() <= 1
