"""Optimisers of generator and discriminator, and the update step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.optim.muon import Muon
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.recipes.schema import Recipe

COLOURS = 3
"""Channels of a picture: the convolution that takes it is trained with Adam, not Muon."""


def adam(parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Fused Adam."""
    return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)


def generator_optimisers(generator: nn.Module, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
    """The generator's optimisers, by name. A TTSR texture extractor has its own learning rate."""
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
    """Step a network's optimisers with the mean gradients of all processes, clipped to the norm ``clip`` (0: off).

    In fp16, gradients that overflowed skip the step of every optimiser. The scaler alone would skip only the optimiser
    whose own gradients overflowed, after clipping has spoilt those of the others.
    """
    group.average_gradients(network.parameters())
    for optimiser in optimisers:
        scaler.unscale_(optimiser)
    if scaler.is_enabled() and not _finite(network.parameters()):
        return
    if clip > 0:
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    for optimiser in optimisers:
        scaler.step(optimiser)


def _finite(parameters: Iterable[nn.Parameter]) -> bool:
    """Whether all gradients are finite."""
    finite = [parameter.grad.isfinite().all() for parameter in parameters if parameter.grad is not None]
    return bool(torch.stack(finite).all())
