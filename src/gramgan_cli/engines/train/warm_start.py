"""Where a stage's first weights come from: the store, a file, or a first stage that trains them."""

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
"""Folder of the first stage inside a run's."""

FIRST_STAGE_END = "first stage"
"""A recipe's ``init`` that names the weights its own first stage ends with, wherever the run's folder lies."""

PIXEL_LOSSES = {"content", "frequency"}
"""What a first stage is trained with: losses whose best answer is the mean of all that HR could be."""


FEWEST = 0.01
"""Share of the first stage's steps that a stored start must have to be taken without being named."""


def _same_network(header: WeightsHeader, network: Mapping[str, Any]) -> bool:
    """Whether weights belong to the very network of a recipe, defaults counted in."""
    hyperparameters = {key: value for key, value in network.items() if key != "arch"}
    return header.arch == network["arch"] and archs.complete(header.arch, header.hyperparameters) == archs.complete(
        header.arch, hyperparameters
    )


def find_content_weights(network: Mapping[str, Any], damaged: bool = False) -> str | None:
    """The model in the store that was trained on pixels alone and has this network; the longest trained of several.

    ``damaged`` asks for one that learnt from damaged LR; else it is one whose LR was as sharp as a reduced photo is.
    """
    fitting = []
    for model in store.stored_models():
        header = read_header(model.path)
        if _trained_on_pixels(header.training, damaged) and _same_network(header, network):
            fitting.append((all_steps(header.training), model.name))
    return max(fitting)[1] if fitting else None


def all_steps(training: Mapping[str, Any]) -> int:
    """Steps of a training record and of those that it started from."""
    steps = 0
    seen: Any = training
    while isinstance(seen, Mapping):
        count = seen.get("steps", 0)
        steps += count if isinstance(count, int) else 0
        seen = seen.get("init")
    return steps


def described_start(name: str, header: WeightsHeader) -> str:
    """What a run starts from, for the user: name, steps, and quality where the header has it."""
    facts = [f"{all_steps(header.training):,} steps".replace(",", " ")] if all_steps(header.training) else []
    measured = header.metrics.get("validation") or next(iter(header.metrics.values()), {})
    where = "" if "validation" in header.metrics else f" on {next(iter(header.metrics), '')}"
    if "psnr_y" in measured:
        facts.append(f"{measured['psnr_y']:.1f} dB{where}")
    return f"Starts from '{name}'" + (f": {', '.join(facts)}." if facts else ".")


def _trained_on_pixels(training: Mapping[str, Any], damaged: bool) -> bool:
    """Whether a header's record is that of a first stage: pixel losses, and LR damaged or not, as is asked."""
    losses, settings = set(training.get("losses", ())), training.get("settings", {})
    return bool(losses) and losses <= PIXEL_LOSSES and bool(settings.get("degradation.share")) == damaged


def start_model(name: str) -> LoadedModel:
    """The weights to start from: a name in the store, a file of ours, or another tool's checkpoint as it is.

    Raises:
        GramganError: it is missing, damaged, or of a network that neither gramgan nor spandrel knows.
    """
    try:
        return load_model(name)
    except ForeignWeights as error:
        header, tensors = convert(error.path, None, {"imported_from": error.path.name})
        return assemble(error.path.stem, header, tensors, error.path)


def with_initial_network(recipe: Recipe) -> Recipe:
    """Weights to start from bring their architecture; hyperparameters that the recipe states beside must agree."""
    if recipe.init in ("", "none", FIRST_STAGE_END):
        return recipe
    header = start_model(recipe.init).header
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
    """The stage that trains this recipe's first weights: its ``stage`` recipe on the same network and photos.

    What says where, how often and in which memory holds for both stages.
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
    """What ``recipe.init`` means for the run in ``folder``: a name in the store, or a file."""
    if recipe.init == FIRST_STAGE_END:
        return str(first_stage(recipe, folder)[1].weights("last"))
    return recipe.init


def with_start(recipe: Recipe) -> Recipe:
    """The recipe with its ``init`` decided: as it is, from the store, or from the end of a first stage."""
    recipe = with_initial_network(recipe)
    if recipe.init == FIRST_STAGE_END and not recipe.stage:
        raise UsageError(
            f"Recipe {recipe.name} has no first stage.", "Name the weights to start from: --init NAME|FILE."
        )
    if recipe.init or not recipe.stage:
        return recipe
    damaged = bool(load_recipe(recipe.stage).degradation.share)
    found = find_content_weights(recipe.network, damaged)
    if found is not None:
        _check_trained_enough(found, recipe)
    return replace(recipe, init=found or FIRST_STAGE_END)


def _check_trained_enough(name: str, recipe: Recipe) -> None:
    """Ask for ``init`` where the stored weights have far fewer steps than the first stage takes."""
    if store.is_builtin(name):
        return
    header, wanted = read_header(store.get(name).path), recipe.stage_steps or load_recipe(recipe.stage).steps
    if all_steps(header.training) < FEWEST * wanted:
        raise UsageError(
            f"{described_start(name, header)[:-1]}, far fewer than the {wanted} steps of stage {recipe.stage}.",
            f"Say so if that is meant: --init {name}. To train the stage first: --init '{FIRST_STAGE_END}'. "
            "To start from random weights: --init none.",
        )


def needs_first_stage(recipe: Recipe, folder: RunFolder) -> bool:
    """Whether ``init`` is the end of the first stage, and this stage has not begun."""
    return recipe.init == FIRST_STAGE_END and not folder.state_file.is_file()
