"""Muon against the singular value decomposition and torch's Muon, and in resumed runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gramgan_cli.core import archs
from gramgan_cli.core.optim.muon import Muon, orthogonalised
from gramgan_cli.engines.train.steps.optim import generator_optimisers
from gramgan_cli.recipes.schema import Optimizer, Recipe


@pytest.mark.parametrize("shape", [(64, 576), (48, 576), (576, 64), (7, 90), (3, 50)])
def test_singular_values_become_about_one_and_directions_stay(shape):
    generator = torch.Generator().manual_seed(sum(shape))
    matrix = torch.randn(shape, generator=generator) @ torch.diag(torch.linspace(0.05, 3.0, shape[1]))
    u, _, vt = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    found = orthogonalised(matrix[None])[0].double().numpy()
    core = u.T @ found @ vt.T
    assert (np.diag(core) > 0.65).all()
    assert (np.diag(core) < 1.25).all()
    assert np.abs(core - np.diag(np.diag(core))).max() < 1e-3
    assert np.abs(found - u @ core @ vt).max() < 1e-4


def test_batched_matrices_are_orthogonalised_independently():
    some = torch.randn(4, 8, 30)
    together = orthogonalised(some)
    for one, result in zip(some, together, strict=True):
        torch.testing.assert_close(orthogonalised(one[None])[0], result)


def test_steps_equal_those_of_torchs_muon():
    muon = getattr(torch.optim, "Muon", None)
    if muon is None:
        pytest.skip("this torch has no Muon (2.9 has)")
    start = torch.randn(64, 32, 3, 3)
    own, flat = nn.Parameter(start.clone()), nn.Parameter(start.flatten(1).clone())
    ours = Muon([own], 0.01)
    theirs = muon([flat], lr=0.01, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for step in range(5):
        gradient = torch.randn(start.shape, generator=torch.Generator().manual_seed(step))
        own.grad, flat.grad = gradient, gradient.flatten(1).clone()
        ours.step()
        theirs.step()
    moved = own.detach().flatten(1) - start.flatten(1)
    # torch iterates in bfloat16, which has 8 significant bits.
    assert (own.detach().flatten(1) - flat.detach()).norm() / moved.norm() < 0.02
    assert moved.norm() > 0.1


def test_an_update_has_the_documented_size():
    weight = nn.Parameter(torch.zeros(64, 64, 3, 3))
    weight.grad = torch.randn(64, 64, 3, 3)
    Muon([weight], 0.5).step()
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(
        0.5 * 0.2, rel=0.32
    )  # singular values 0.68 to 1.21


def test_every_parameter_has_one_optimiser():
    network = archs.build("compact", {"nf": 8, "nc": 2})
    by_default = generator_optimisers(network, Recipe())
    assert list(by_default) == ["generator_adam"]
    both = generator_optimisers(network, Recipe(optimizer=Optimizer(name="muon")))
    owned = [parameter for one in both.values() for group in one.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in owned} == {id(parameter) for parameter in network.parameters()}
    assert len(owned) == len(list(network.parameters()))
    first = next(network.parameters())
    moved = [parameter for group in both["generator_muon"].param_groups for parameter in group["params"]]
    assert all(parameter is not first and parameter.ndim == 4 for parameter in moved)
    assert len(moved) == 3
