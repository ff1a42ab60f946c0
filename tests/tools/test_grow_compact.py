"""tools/grow_compact.py: the deeper network gives the same output as the original."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gramgan_cli.core import archs
from gramgan_cli.core.weights.header import WeightsHeader, build_from_file, save_weights

TOOL = Path(__file__).resolve().parents[2] / "tools" / "grow_compact.py"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A Compact 8x3 with non-default biases and slopes."""
    torch.manual_seed(0)
    network = archs.build("compact", {"nf": 8, "nc": 3})
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    file = tmp_path / "small.safetensors"
    header = WeightsHeader(arch="compact", hyperparameters={"nf": 8, "nc": 3}, scale=4, licence="MIT")
    save_weights(file, network.state_dict(), header)
    return file


def grow(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("after", [[1], [3], [1, 2], [1, 2, 3]])
def test_the_grown_network_gives_the_same(weights: Path, tmp_path: Path, after: list[int]) -> None:
    target = tmp_path / "grown.safetensors"
    done = grow(weights, target, *after)
    assert done.returncode == 0, done.stderr
    (before, _), (grown, header) = build_from_file(weights), build_from_file(target)
    assert header.hyperparameters["nc"] == 3 + len(after)
    lr = torch.rand(1, 3, 17, 23)
    torch.testing.assert_close(grown.double()(lr.double()), before.double()(lr.double()), rtol=1e-5, atol=1e-6)


def test_a_slope_is_split_between_two_nonlinear_activations(weights: Path, tmp_path: Path) -> None:
    """Neither activation is linear (slope 1), which would merge the two convolutions into one."""
    target = tmp_path / "grown.safetensors"
    assert grow(weights, target, 2).returncode == 0
    before, grown = load_file(weights)["body.5.weight"].double(), load_file(target)
    first, second = grown["body.5.weight"].double(), grown["body.7.weight"].double()
    assert before.min() < 0 < before.max()
    torch.testing.assert_close(first * second, before, rtol=1e-6, atol=0)
    torch.testing.assert_close(first, second.abs(), rtol=0, atol=0)
    assert (first >= 0).all()


@pytest.mark.parametrize("after", [0, 4])
def test_only_after_middle_convolutions(weights: Path, tmp_path: Path, after: int) -> None:
    done = grow(weights, tmp_path / "grown.safetensors", after)
    assert done.returncode == 2
    assert "are 1 to 3" in done.stderr
    assert not (tmp_path / "grown.safetensors").exists()
