"""The optimisers of generator and discriminator, and one update by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.optim.muon import Muon
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.recipes.schema import Recipe

COLOURS = 3
"""Channels of a picture: the convolution that sees it keeps to Adam."""


def adam(parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam, fused into one kernel per device."""
    return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)


def generator_optimisers(generator: nn.Module, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
    """The generator's optimisers; a network's texture extractor learns at a rate of its own."""
    wanted = recipe.optimizer
    extractor = set(generator.extractor.parameters()) if isinstance(generator, TTSR) else set()
    learned = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    main = [parameter for parameter in learned if parameter not in extractor]
    inner = [weight for weight in main if wanted.name == "muon" and weight.ndim == 4 and weight.shape[1] > COLOURS]
    taken = set(inner)
    rest = [parameter for parameter in main if parameter not in taken]
    betas = (wanted.beta1, wanted.beta2)
    if wanted.name == "adamw":
        optimiser: torch.optim.Adam = torch.optim.AdamW(
            rest, lr=wanted.rate, betas=betas, weight_decay=wanted.weight_decay, fused=True
        )
    else:
        optimiser = adam(rest, wanted.rate, betas)
    if extractor:
        own = [parameter for parameter in generator.parameters() if parameter in extractor]
        optimiser.add_param_group({"params": own, "lr": wanted.extractor_rate})
    optimisers: dict[str, torch.optim.Optimizer] = {"generator_adam": optimiser}
    if inner:
        optimisers["generator_muon"] = Muon(inner, wanted.rate)
    return optimisers


def update(
    network: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    scaler: torch.amp.GradScaler,
    group: Group,
    clip: float,
) -> None:
    """One step of a network's optimisers by the processes' mean gradients, clipped to the norm ``clip`` (0: not)."""
    group.average_gradients(network.parameters())
    for optimiser in optimisers:
        scaler.unscale_(optimiser)
    if clip > 0:
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    for optimiser in optimisers:
        scaler.step(optimiser)
