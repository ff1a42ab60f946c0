"""PLKSR against spandrel's version with the same weights, and its receptive radius."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.launch import train
from gramgan_cli.engines.train.options import TrainOptions

SMALL = {"nf": 16, "nb": 2, "kernel": 5}


def test_spandrel_loads_its_weights_and_gives_the_same_picture() -> None:
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    torch.manual_seed(0)
    network = archs.build("plksr", SMALL).eval()
    theirs = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(network.state_dict()))
    assert (theirs.architecture.id, theirs.scale) == ("PLKSR", 4)
    x = torch.rand(1, 3, 11, 13)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), theirs.model(x), rtol=0, atol=1e-6)


def test_the_receptive_radius_is_exact() -> None:
    torch.manual_seed(0)
    network = archs.build("plksr", SMALL).double()
    radius = archs.describe("plksr", SMALL).receptive_radius
    x = torch.rand(1, 3, 2 * radius + 9, 3, dtype=torch.float64, requires_grad=True)
    middle = x.shape[2] // 2
    network(x)[0, :, 4 * middle].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(reached.min()) == middle - radius
    assert int(reached.max()) == middle + radius


@pytest.mark.parametrize("wrong", [{"kernel": 4}, {"nf": 2}, {"out_nc": 1}])
def test_impossible_values_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(GramganError):
        archs.build("plksr", {**SMALL, **wrong})


def test_it_trains_and_its_weights_load(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(rng.integers(0, 256, (48, 56, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    settings = {
        "network": {"arch": "plksr", **SMALL},
        "data": {"hr_dir": [str(tmp_path)], "hr_crop": 32},
        "steps": 1,
        "batch_size": 2,
    }
    train(
        TrainOptions(recipe="psnr", settings=[settings], out=tmp_path / "run", device="cpu", store=False),
        TrainCallbacks,
    )
    model = load_model(str(tmp_path / "run" / "last.safetensors"))
    assert (model.descriptor.arch, model.descriptor.scale) == ("plksr", 4)
