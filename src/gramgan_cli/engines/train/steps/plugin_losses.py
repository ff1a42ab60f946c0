"""Loss terms of plugins: functions of SR and HR that a recipe weighs in ``loss.plugins``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gramgan_cli.core.errors import GramganError, UsageError, nearest
from gramgan_cli.core.plugins import plugins
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

PluginLoss = Callable[[Tensor, Tensor], Tensor]
"""SR and HR, (b, 3, H, W) float32 in [0, 1] -> scalar."""


def plugin_losses(recipe: Recipe, device: torch.device | None = None) -> dict[str, PluginLoss]:
    """The functions of the terms that the recipe weighs, by name.

    Args:
        recipe: its ``loss.plugins`` counts.
        device: where losses that are modules with weights of their own go; None leaves them.

    Raises:
        GramganError: no plugin offers a term, or what it offers is not a function.
        UsageError: a term has a built-in term's name, or a negative weight.
    """
    weights = {name: weight for name, weight in recipe.loss.plugins.items() if weight}
    offered = plugins("losses") if weights else {}
    for name, weight in weights.items():
        if name in LOSS_TERMS:
            raise UsageError(f"loss.plugins.{name} has the name of a loss term of gramgan.", "Give it another name.")
        if not weight > 0:
            raise UsageError(f"loss.plugins.{name} is at least 0, not {weight:g}.")
        if name not in offered:
            raise GramganError(f"No plugin offers the loss '{name}'.", nearest(name, offered))
        if not callable(offered[name]):
            raise GramganError(f"The plugin's loss '{name}' is not a function.")
    losses = {name: offered[name] for name in weights}
    if device is None:
        return losses
    return {name: loss.to(device) if isinstance(loss, nn.Module) else loss for name, loss in losses.items()}
