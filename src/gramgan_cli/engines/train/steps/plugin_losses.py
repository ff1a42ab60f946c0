"""Loss terms from plugins, with weights in a recipe's ``loss.plugins``."""

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
    """Loss functions of the plugin terms with a weight in the recipe, by name.

    Args:
        recipe: only its ``loss.plugins`` is read.
        device: device for losses that are modules; None leaves them where they are.

    Raises:
        GramganError: no plugin offers a term, or it is not callable.
        UsageError: a term has the name of a built-in term, or a negative weight.
    """
    weights = {name: weight for name, weight in recipe.loss.plugins.items() if weight}
    offered = plugins("losses") if weights else {}
    for name, weight in weights.items():
        if name in LOSS_TERMS:
            raise UsageError(
                f"loss.plugins.{name} has the name of one of gramgan's own loss terms.", "Give it another name."
            )
        if not weight > 0:
            raise UsageError(f"loss.plugins.{name} must be at least 0, not {weight:g}.")
        if name not in offered:
            raise GramganError(f"No plugin defines the loss '{name}'.", nearest(name, offered))
        if not callable(offered[name]):
            raise GramganError(f"The plugin's loss '{name}' is not a function.")
    losses = {name: offered[name] for name in weights}
    if device is None:
        return losses
    return {name: loss.to(device) if isinstance(loss, nn.Module) else loss for name, loss in losses.items()}
