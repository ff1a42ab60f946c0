"""Initial weights of a stage: from the store, a file, or a first stage that trains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gramgan_cli.core import archs
from gramgan_cli.core.errors import ForeignWeights, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.foreign import convert
from gramgan_cli.core.weights.header import WeightsHeader, read_header
from gramgan_cli.core.weights.load import LoadedModel, assemble, load_model
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

FIRST_STAGE = "content"
"""Subfolder of a run folder that holds its first stage."""

FIRST_STAGE_END = "first stage"
"""Value of ``init`` for the final weights of the run's own first stage, independent of the run folder's path."""

PIXEL_LOSSES = {"content", "frequency"}
"""Loss terms of a first stage. They are minimised by the mean of all plausible HR."""


FEWEST = 0.01
"""Least share of the first stage's steps that weights in the store need to be chosen automatically."""


def _same_network(header: WeightsHeader, network: Mapping[str, Any]) -> bool:
    """Whether weights are of the recipe's network, with default hyperparameters filled in."""
    hyperparameters = {key: value for key, value in network.items() if key != "arch"}
    return header.arch == network["arch"] and archs.complete(header.arch, header.hyperparameters) == archs.complete(
        header.arch, hyperparameters
    )


def find_content_weights(network: Mapping[str, Any], damaged: bool = False) -> str | None:
    """Name of the longest-trained model in the store that has this network and only pixel losses, or None.

    ``damaged`` selects models trained on degraded LR; otherwise those trained on clean LR.
    """
    fitting = []
    for model in store.stored_models():
        header = read_header(model.path)
        if _trained_on_pixels(header.training, damaged) and _same_network(header, network):
            fitting.append((all_steps(header.training), model.name))
    return max(fitting)[1] if fitting else None


def all_steps(training: Mapping[str, Any]) -> int:
    """Total steps of a training record and of the records that it started from."""
    steps = 0
    seen: Any = training
    while isinstance(seen, Mapping):
        count = seen.get("steps", 0)
        steps += count if isinstance(count, int) else 0
        seen = seen.get("init")
    return steps


def described_start(name: str, header: WeightsHeader) -> str:
    """One line for the user about the initial weights: name, steps, and PSNR if the header has it."""
    facts = [f"{all_steps(header.training):,} steps".replace(",", " ")] if all_steps(header.training) else []
    measured = header.metrics.get("validation") or next(iter(header.metrics.values()), {})
    where = "" if "validation" in header.metrics else f" on {next(iter(header.metrics), '')}"
    if "psnr_y" in measured:
        facts.append(f"{measured['psnr_y']:.1f} dB{where}")
    return f"Starts from '{name}'" + (f": {', '.join(facts)}." if facts else ".")


def _trained_on_pixels(training: Mapping[str, Any], damaged: bool) -> bool:
    """Whether a training record has only pixel losses and degraded LR (``damaged``) or clean LR."""
    losses, settings = set(training.get("losses", ())), training.get("settings", {})
    return bool(losses) and losses <= PIXEL_LOSSES and bool(settings.get("degradation.share")) == damaged


def start_model(name: str) -> LoadedModel:
    """Load initial weights: a name in the store, a gramgan file, or another tool's checkpoint.

    Raises:
        GramganError: the weights are missing, damaged, or of a network that neither gramgan nor spandrel knows.
    """
    try:
        return load_model(name)
    except ForeignWeights as error:
        header, tensors = convert(error.path, None, {"imported_from": error.path.name})
        return assemble(error.path.stem, header, tensors, error.path)


def with_initial_network(recipe: Recipe) -> Recipe:
    """The recipe with the network of its initial weights. Hyperparameters that the recipe sets must agree."""
    if recipe.init in ("", "none", FIRST_STAGE_END):
        return recipe
    header = start_model(recipe.init).header
    brought = {"arch": header.arch, **header.hyperparameters}
    stated = {key: value for key, value in recipe.network.items() if key != "arch"}
    if recipe.network["arch"] == header.arch and not _same_network(header, {**brought, **stated}):
        raise UsageError(
            f"The weights {recipe.init} are for {header.arch} with {header.hyperparameters}, "
            f"but the recipe sets {dict(stated)}.",
            "Start from weights of the same network, or with `init` none.",
        )
    return replace(recipe, network=brought)


def first_stage(recipe: Recipe, folder: RunFolder) -> tuple[Recipe, RunFolder]:
    """Recipe and folder of the first stage: the ``stage`` recipe with this recipe's network and photos.

    Both stages share device and memory settings, intervals, seed and batch size.
    """
    before = load_recipe(recipe.stage)
    stage = replace(
        before,
        network=recipe.network,
        data=recipe.data,
        features=replace(before.features, weights=recipe.features.weights),
        compute=recipe.compute,
        optimizer=replace(before.optimizer, accumulate=recipe.optimizer.accumulate),
        valid_every=recipe.valid_every,
        save_every=recipe.save_every,
        log_every=recipe.log_every,
        seed=recipe.seed,
        steps=recipe.stage_steps or before.steps,
        batch_size=recipe.batch_size,
        init="none",
        stage="",
    )
    return stage, RunFolder(folder.path / FIRST_STAGE)


def initial_weights(recipe: Recipe, folder: RunFolder) -> str:
    """Name in the store or file that ``recipe.init`` stands for in the run in ``folder``."""
    if recipe.init == FIRST_STAGE_END:
        return str(first_stage(recipe, folder)[1].weights("last"))
    return recipe.init


def with_start(recipe: Recipe) -> Recipe:
    """The recipe with ``init`` resolved: as set, from the store, or ``FIRST_STAGE_END``."""
    if recipe.init == FIRST_STAGE_END and not recipe.stage:
        raise UsageError(
            f"Recipe {recipe.name} has no first stage.", "Pass the weights to start from with `init` NAME|FILE."
        )
    if recipe.init or not recipe.stage:
        return recipe
    damaged = bool(load_recipe(recipe.stage).degradation.share)
    found = find_content_weights(recipe.network, damaged)
    if found is not None:
        _check_trained_enough(found, recipe)
    return replace(recipe, init=found or FIRST_STAGE_END)


def _check_trained_enough(name: str, recipe: Recipe) -> None:
    """Raise UsageError if weights found in the store have far fewer steps than the first stage would take."""
    if store.is_builtin(name):
        return
    header, wanted = read_header(store.get(name).path), recipe.stage_steps or load_recipe(recipe.stage).steps
    if all_steps(header.training) < FEWEST * wanted:
        raise UsageError(
            f"{described_start(name, header)[:-1]}, far fewer than the {wanted} steps of stage {recipe.stage}.",
            f"To use them anyway: `init` {name}. To train the stage first: `init` '{FIRST_STAGE_END}'. "
            "To start from random weights: `init` none.",
        )


def needs_first_stage(recipe: Recipe, folder: RunFolder) -> bool:
    """Whether the run starts from its first stage's final weights and its own stage has not begun."""
    return recipe.init == FIRST_STAGE_END and not folder.state_file.is_file()
