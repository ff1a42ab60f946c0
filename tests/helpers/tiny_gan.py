"""The gramgan recipe with a tiny network: batches, training steps, gradients."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

CPU = torch.device("cpu")


def tiny(bank: Path, **changes: Any) -> Recipe:
    """The gramgan recipe without VGG, with a tiny network."""
    recipe = merge(
        load_recipe("gramgan"),
        {
            "network": {"arch": "rrdbnet", "nf": 8, "nb": 1, "gc": 4},
            "discriminator": {"nf": 4},
            "loss": {"perceptual": 0.0},
            "texture": {"db": str(bank), "patches": "dense"},
            "data": {"hr_crop": 32},
            "batch_size": 4,
        },
    )
    return merge(recipe, changes)


def make_batch(seed: int, count: int = 4) -> Batch:
    """A batch of random crops; half of each HR is flat, so that masks matter."""
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(count, 3, 32, 32, generator=generator)
    hr[:, :, :, 22:] = 0.5
    return Batch(torch.rand(count, 3, 8, 8, generator=generator), hr, ("a.png",) * count)


def make_training(recipe: Recipe, group: Group | None = None) -> GanTraining:
    torch.manual_seed(1)
    generator = archs.build("rrdbnet", {k: v for k, v in recipe.network.items() if k != "arch"})
    return GanTraining(generator.train(), recipe, CPU, group or Group())


def gradients(training: GanTraining) -> list[torch.Tensor]:
    """Concatenated gradients of G and of D. (Only D's last bias has none, since the relativistic loss cancels it.)"""
    return [torch.cat([p.grad.flatten() for p in network.parameters()]) for network in training.networks.values()]


def assert_same_gradients(network: nn.Module, expected: nn.Module, least: float) -> None:
    """The gradients agree to 1e-4 of each value and of the tensor's largest, plus ``least``."""
    for a, b in zip(network.parameters(), expected.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=least + 1e-4 * float(b.grad.abs().max()))


def assert_parts_equal_the_whole(recipe: Recipe, least: float) -> None:
    """A batch in two parts gives the gradients of the whole batch (see ``assert_same_gradients``)."""
    whole, parts = make_training(recipe), make_training(merge(recipe, {"optimizer": {"accumulate": 2}}))
    batch = make_batch(3)
    for training in (whole, parts):
        training.step(batch, 0)
    for name in ("generator", "discriminator"):
        assert_same_gradients(parts.networks[name], whole.networks[name], least)


def free_port() -> int:
    """A free local port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
