"""DRUNet: spandrel's version gives the same picture, exported files come back, and wrong hyperparameters are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.models.export import ExportOptions, export

SMALL: dict[str, Any] = {"nc": [4, 6, 8, 10], "nb": 2}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A weights file of a small network with random weights."""
    torch.manual_seed(0)
    path = tmp_path / "cleaner.safetensors"
    save_weights(path, archs.build("drunet", SMALL).state_dict(), WeightsHeader("drunet", SMALL, 1))
    return path


def test_spandrel_gives_the_same_picture(trained: Path, tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="needs the extra interop")
    exported = export(str(trained), tmp_path / "exported.safetensors", ExportOptions())
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(exported)
    assert (theirs.architecture.id, theirs.scale, theirs.input_channels) == ("DRUNet", 1, 3)
    x = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        expected = load_model(str(trained)).network(x)
        assert expected.std() > 1e-4
        torch.testing.assert_close(theirs(x), expected.clamp(0, 1), rtol=1e-5, atol=1e-6)


def test_an_exported_file_is_loaded_again(trained: Path, tmp_path: Path) -> None:
    exported = export(str(trained), tmp_path / "exported.safetensors", ExportOptions())
    assert load_file(exported)["m_head.weight"].shape == (4, 4, 3, 3)

    def weights(path: Path) -> dict[str, Tensor]:
        return load_model(str(path)).network.state_dict()

    torch.testing.assert_close(weights(exported), weights(trained), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("hyperparameters", "named"),
    [({"scale": 4}, "scale is 1, not 4"), ({"nc": [8, 8]}, "four levels"), ({"nc": [8, 8, 8, 0]}, "four levels")],
)
def test_hyperparameters_that_do_not_fit(hyperparameters: dict[str, Any], named: str) -> None:
    with pytest.raises(GramganError, match=named):
        archs.build("drunet", hyperparameters)
