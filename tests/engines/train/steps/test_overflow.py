"""Gradients that overflow in fp16: no optimiser of the network makes a step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gramgan_cli.core.optim.muon import Muon
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.optim import update


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
@pytest.mark.parametrize("broken", [0, 1], ids=["in Adam's weights", "in Muon's weights"])
@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_no_weight_changes_and_the_scale_falls(bad: float, broken: int, clip: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, bias=False))
    by_adam, by_muon = list(network[0].parameters()), list(network[1].parameters())
    optimisers = [torch.optim.Adam(by_adam, 1e-2), Muon(by_muon, 1e-2)]
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0)

    def step(spoilt: bool) -> None:
        network.zero_grad()
        scaler.scale(network(torch.rand(2, 3, 8, 8)).square().mean()).backward()
        if spoilt:
            gradient = next(network[broken].parameters()).grad
            assert gradient is not None
            gradient[0, 0, 0, 0] = bad
        update(network, optimisers, scaler, Group(), clip)
        scaler.update()

    step(spoilt=False)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    step(spoilt=True)
    assert scaler.get_scale() == 8.0
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.equal(old, new)
    step(spoilt=False)
    assert not any(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
