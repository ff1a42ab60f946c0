"""TTSR: references of all sizes, gradients, descriptor, VGG19's weights, memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import models

from gramgan_cli.core import archs
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.archs.ttsr.extractor import Levels
from gramgan_cli.core.errors import GramganError
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.engines.train.setup import set_up
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

SMALL: dict[str, Any] = {"nf": 8, "blocks": [1, 1, 1, 1]}


def small(**changes: Any) -> TTSR:
    torch.manual_seed(0)
    network = archs.build("ttsr", {**SMALL, **changes})
    assert isinstance(network, TTSR)
    return network


@pytest.mark.parametrize("ref_size", [(12, 12), (13, 95), (200, 12), (64, 64), (31, 50)])
def test_references_of_any_size(ref_size: tuple[int, int]) -> None:
    network = small().eval()
    with torch.no_grad():
        sr = network(torch.rand(2, 3, 5, 9), torch.rand(2, 3, *ref_size))
    assert sr.shape == (2, 3, 20, 36)
    assert torch.isfinite(sr).all()
    assert 0 <= float(sr.min()) <= float(sr.max()) <= 1


@pytest.mark.parametrize("ref_size", [(11, 40), (3, 3), (40, 1)])
def test_too_small_a_reference_is_named(ref_size: tuple[int, int]) -> None:
    with pytest.raises(GramganError, match=f"too small: {ref_size[1]} x {ref_size[0]} pixels"):
        small()(torch.rand(1, 3, 5, 5), torch.rand(1, 3, *ref_size))


def test_every_parameter_learns() -> None:
    network = small()
    network(torch.rand(1, 3, 6, 6), torch.rand(1, 3, 24, 24)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_reading_a_reference_once_is_enough() -> None:
    network = small().eval()
    ref = torch.rand(1, 3, 30, 40)
    with torch.no_grad():
        reference = network.read_reference(ref)
        for _ in range(2):
            lr = torch.rand(1, 3, 7, 5)
            assert torch.equal(network.enlarge(lr, reference), network(lr, ref))


def test_the_descriptor() -> None:
    described = archs.describe("ttsr", {})
    assert described.needs_reference
    assert described.scale == 4
    assert described.receptive_radius == 100
    assert not archs.describe("compact", {}).needs_reference
    for wrong in ({"scale": 2}, {"blocks": [1, 2, 3]}):
        with pytest.raises(GramganError, match="TTSR"):
            archs.build("ttsr", wrong)


@pytest.mark.parametrize("blocks", [[2, 1, 0, 1], [3, 0, 1, 0]])
def test_the_radius_is_what_the_main_net_s_gradients_reach(blocks: list[int]) -> None:
    network = small(nf=2, blocks=blocks).double()
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, 0.05, 0.1)
    radius = archs.describe("ttsr", {"blocks": blocks}).receptive_radius
    side = 2 * radius + 9

    def texture(channels: int, factor: int) -> Tensor:
        return torch.rand(1, channels, factor * side, factor * side, dtype=torch.float64)

    levels = Levels(texture(64, 4), texture(128, 2), texture(256, 1))
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    y = network.main(x, reversed(levels), texture(1, 1))
    centre, reached = side // 2, 0
    for offset in range(4):
        (gradient,) = torch.autograd.grad(y[0, :, 4 * centre + offset, 4 * centre].sum(), x, retain_graph=True)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        reached = max(reached, centre - int(rows.min()), int(rows.max()) - centre)
    assert reached == radius


def test_vgg19_s_convolutions_are_taken_by_their_indices() -> None:
    network = small()
    torch.manual_seed(1)
    vgg = models.vgg19(weights=None, init_weights=False).features[:12].eval()
    state = {f"features.{name}": tensor for name, tensor in vgg.state_dict().items()}
    network.extractor.load_vgg19({**state, "classifier.0.bias": torch.zeros(3)})
    image = torch.rand(1, 3, 16, 24)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    with torch.no_grad():
        for level, (first, last) in zip(network.extractor(image), ((0, 2), (2, 7), (7, 12)), strict=True):
            x = vgg[first:last](x)
            torch.testing.assert_close(level, x)
    del state["features.5.weight"]
    with pytest.raises(GramganError, match=r"'features\.5\.weight'"):
        network.extractor.load_vgg19(state)


def test_a_run_killed_before_its_first_saved_state_begins_again_with_vgg19(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    vgg = {
        f"features.{key}": tensor
        for key, tensor in models.vgg19(weights=None, init_weights=False).features[:12].state_dict().items()
    }
    monkeypatch.setattr("gramgan_cli.core.features.official_weights", lambda _: vgg)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (80, 90, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    run = RunFolder(tmp_path / "run")
    settings = {"network": {"arch": "ttsr", **SMALL}, "data": {"hr_dir": [str(tmp_path)], "hr_crop": 48}}
    recipe = merge(load_recipe("ttsr-rec"), settings)
    run.record(recipe)  # without a state, as if killed before the first save
    resumed = set_up(recipe, run, torch.device("cpu"), TrainCallbacks(), Group(), resume=True)
    assert isinstance(resumed.generator, TTSR)
    for name, tensor in resumed.generator.extractor.state_dict().items():
        torch.testing.assert_close(tensor, vgg[name], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_256_pixels_with_a_1024_reference_stay_under_3_gb() -> None:
    """In a separate process, since a process's peak memory never decreases."""
    script = (
        "import resource, sys, torch\n"
        "from gramgan_cli.core import archs\n"
        "network = archs.build('ttsr', {}).eval()\n"
        "with torch.inference_mode():\n"
        "    network(torch.rand(1, 3, 256, 256), torch.rand(1, 3, 1024, 1024))\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(peak * (1 if sys.platform == 'darwin' else 1024))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 3e9
