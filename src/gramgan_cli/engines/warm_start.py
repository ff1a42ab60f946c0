"""Where a stage's first weights come from: the store, a file, or a first stage that trains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gramgan_cli.core import archs
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, read_header
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.run_folder import RunFolder
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

FIRST_STAGE = "content"
"""Folder of the first stage inside a run's."""

PIXEL_LOSSES = {"content", "frequency"}
"""What a first stage is trained with: losses whose best answer is the mean of all that HR could be."""


def _same_network(header: WeightsHeader, network: Mapping[str, Any]) -> bool:
    """Whether weights belong to the very network of a recipe, defaults counted in."""
    hyperparameters = {key: value for key, value in network.items() if key != "arch"}
    return header.arch == network["arch"] and archs.complete(header.arch, header.hyperparameters) == archs.complete(
        header.arch, hyperparameters
    )


def find_content_weights(network: Mapping[str, Any]) -> str | None:
    """The model in the store that was trained on pixels alone and has this network; the longest trained of several."""
    fitting = []
    for model in store.stored_models():
        header = read_header(model.path)
        if _trained_on_pixels(header.training) and _same_network(header, network):
            fitting.append((header.training.get("steps", 0), model.name))
    return max(fitting)[1] if fitting else None


def _trained_on_pixels(training: Mapping[str, Any]) -> bool:
    """Whether a header's record is that of a first stage: pixel losses, LR as sharp as a reduced photo is."""
    losses, settings = set(training.get("losses", ())), training.get("settings", {})
    return bool(losses) and losses <= PIXEL_LOSSES and not settings.get("degradation.share")


def with_initial_network(recipe: Recipe) -> Recipe:
    """Weights to start from bring their architecture; hyperparameters that the recipe states beside must agree."""
    if recipe.init in ("", "none"):
        return recipe
    header = load_model(recipe.init).header
    brought = {"arch": header.arch, **header.hyperparameters}
    stated = {key: value for key, value in recipe.network.items() if key != "arch"}
    if recipe.network["arch"] == header.arch and not _same_network(header, {**brought, **stated}):
        raise UsageError(
            f"The weights {recipe.init} are of {header.arch} with {header.hyperparameters}, "
            f"the recipe asks for {dict(stated)}.",
            "Start from weights of the same network, or with --init none.",
        )
    return replace(recipe, network=brought)


def first_stage(recipe: Recipe, folder: RunFolder) -> tuple[Recipe, RunFolder]:
    """The stage that trains this recipe's first weights: its ``stage`` recipe on the same network and photos."""
    before = load_recipe(recipe.stage)
    stage = replace(
        before,
        network=recipe.network,
        data=recipe.data,
        features=replace(before.features, weights=recipe.features.weights),
        compute=recipe.compute,
        seed=recipe.seed,
        steps=recipe.stage_steps or before.steps,
        batch_size=recipe.batch_size,
        init="none",
        stage="",
    )
    return stage, RunFolder(folder.path / FIRST_STAGE)


def with_start(recipe: Recipe, folder: RunFolder) -> Recipe:
    """The recipe with its ``init`` decided: as it is, from the store, or from the first stage's end in ``folder``."""
    recipe = with_initial_network(recipe)
    if recipe.init or not recipe.stage:
        return recipe
    found = find_content_weights(recipe.network)
    return replace(recipe, init=found or str(first_stage(recipe, folder)[1].weights("last")))


def needs_first_stage(recipe: Recipe, folder: RunFolder) -> bool:
    """Whether ``init`` is the end of the first stage, and this stage has not begun."""
    awaited = str(first_stage(recipe, folder)[1].weights("last")) if recipe.stage else ""
    return recipe.init == awaited != "" and not folder.state_file.is_file()
