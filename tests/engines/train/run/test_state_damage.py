"""A damaged training state is never resumed silently."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from gramgan_cli.core.errors import StateDamaged
from gramgan_cli.engines.train.run.checkpoint import CHECKSUM, KEY, Progress, load_state, save_state


def made(path: Path) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network after two steps of Adam, saved to ``path``."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(2):
        network(torch.rand(1, 3, 8, 8)).mean().backward()
        optimiser.step()
    save_state(path, {"generator": network}, {"g": optimiser}, Progress(step=2, origin={"recipe": "none"}))
    return network, optimiser


def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return network, torch.optim.Adam(network.parameters())


def load(path: Path) -> Progress:
    network, optimiser = fresh()
    return load_state(path, {"generator": network}, {"g": optimiser})


def test_saved_state_is_restored(tmp_path: Path) -> None:
    network, _ = made(tmp_path / "state")
    other, optimiser = fresh()
    progress = load_state(tmp_path / "state", {"generator": other}, {"g": optimiser})
    assert progress.step == 2
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in other.state_dict().items())


def test_no_flipped_bit_resumes_in_silence(tmp_path: Path) -> None:
    """Each of 400 bit flips over the whole file is an error (or, between JSON tokens, has no effect)."""
    made(tmp_path / "state")
    content = (tmp_path / "state").read_bytes()
    draw = np.random.default_rng(0)
    silent = 0
    for position in np.linspace(0, len(content) - 1, 400).astype(int):
        flipped = bytearray(content)
        flipped[position] ^= 1 << draw.integers(8)
        (tmp_path / "flipped").write_bytes(flipped)
        try:
            load(tmp_path / "flipped")
        except StateDamaged:
            continue
        silent += 1
    assert silent == 0


def test_a_state_without_a_checksum_is_taken_only_if_it_never_had_one(tmp_path: Path) -> None:
    """States from before checksums are accepted; damaging the checksum's key does not bypass the check."""
    made(tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, tmp_path / "old", metadata={KEY: metadata[KEY]})
    assert load(tmp_path / "old").step == 2
    save_file(tensors, tmp_path / "renamed", metadata={KEY: metadata[KEY], "sha255": metadata[CHECKSUM]})
    with pytest.raises(StateDamaged, match="checksum"):
        load(tmp_path / "renamed")


@pytest.mark.parametrize("broken", ["missing", "shape", "random", "optimiser", "progress"])
def test_tensors_that_do_not_fit_the_run_are_one_sentence(tmp_path: Path, broken: str) -> None:
    made(tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        facts = file.metadata()[KEY]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if broken == "missing":
        del tensors["generator/0.weight"]
    elif broken == "shape":
        tensors["generator/0.weight"] = torch.zeros(1)
    elif broken == "random":
        tensors["random"] = torch.zeros(3)
    elif broken == "optimiser":
        tensors["g/99/exp_avg"] = torch.zeros(3)
    else:
        facts = json.dumps({**json.loads(facts), "unknown": 1})
    save_file(tensors, tmp_path / "broken", metadata={KEY: facts})
    with pytest.raises(StateDamaged, match="does not fit this run") as caught:
        load(tmp_path / "broken")
    assert "\n" not in str(caught.value)
