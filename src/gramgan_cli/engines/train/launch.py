"""Running the stages of a training run one after another, in one process or several."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.options import TrainOptions, TrainResult
from gramgan_cli.engines.train.parallel import processes
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.photo_set import count_photos, held_out_in_bank
from gramgan_cli.engines.train.resolve import resolve_recipe, scale_of, with_steps
from gramgan_cli.engines.train.run.model_name import model_name, put_into_store
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.engines.train.setup import set_up
from gramgan_cli.engines.train.steps.terms import check_features
from gramgan_cli.engines.train.trainer import Trainer
from gramgan_cli.engines.train.warm_start import first_stage, needs_first_stage
from gramgan_cli.recipes.schema import Recipe


def plan(recipe: Recipe, folder: RunFolder, options: TrainOptions) -> dict[str, Any]:
    """Describe what a run would do, for ``--dry-run``, after all checks that need no training."""
    if recipe.features.weights != "imagenet":  # a plan downloads nothing
        check_features(recipe)
    photos, validation, line = count_photos(recipe, scale_of(recipe))
    stages = []
    if needs_first_stage(recipe, folder):
        before, where = _checked_stage(recipe, folder)
        stages.append({"recipe": before.name, "steps": before.steps, "run": str(where.path)})
    stages.append({"recipe": recipe.name, "steps": recipe.steps, "run": str(folder.path)})
    return {
        "run": str(folder.path),
        "model": model_name(folder) if options.store else None,
        "device": [f"cuda:{gpu}" for gpu in options.gpus] or str(pick_device(options.device)),
        "network": dict(recipe.network),
        "init": recipe.init or "none",
        "stages": stages,
        "photos": photos,
        "validation_photos": validation,
        "data": line,
    }


def _checked_stage(recipe: Recipe, folder: RunFolder) -> tuple[Recipe, RunFolder]:
    """Recipe and folder of the first stage. Raises UsageError if it can't train with the run's network and photos."""
    before, inside = first_stage(recipe, folder)
    try:
        check_recipe(before)
        check_features(before)
    except GramganError as error:
        raise UsageError(f"The first stage, {before.name}, can't run. {error.message}", error.hint) from error
    return with_steps(before), inside


def train(options: TrainOptions, make_callbacks: Callable[[], TrainCallbacks]) -> TrainResult:
    """Train, and put a finished run's generator into the store under the run folder's name, numbered if taken.

    Called once per process: by the user's command, in each process that ``--gpus`` started, or by torchrun.
    """
    if options.gpus and not processes.is_worker():
        return processes.start(len(options.gpus), partial(train, options, make_callbacks))
    group, device = processes.join(options.gpus, options.device)
    try:
        return _train(options, make_callbacks() if group.is_main else TrainCallbacks(), group, device)
    finally:
        processes.leave()


def _train(options: TrainOptions, callbacks: TrainCallbacks, group: Group, device: torch.device) -> TrainResult:
    """Run the stages one after another. All checks come before anything is written."""
    recipe, folder = resolve_recipe(options)
    if options.store:
        model_name(folder)
    if not options.resume:
        folder.check_new()
    check_features(recipe)
    if group.is_main and (overlap := held_out_in_bank(recipe, scale_of(recipe))):
        callbacks.on_note(overlap)
    group.barrier()  # the main process writes only after all processes have read the folder
    if needs_first_stage(recipe, folder):
        before, inside = _checked_stage(recipe, folder)
        callbacks.on_note(f"First stage: {before.steps} steps of recipe {before.name} (skip it with `init` none).")
        setup = set_up(before, inside, device, callbacks, group, inside.recipe_file.is_file())
        if group.is_main:
            folder.record(recipe)
            inside.record(before)
        result = Trainer(setup).loop()
        if not result.finished:
            return result
    setup = set_up(recipe, folder, device, callbacks, group, options.resume)
    if group.is_main:
        folder.record(recipe)
    result = Trainer(setup).loop()
    if result.finished and group.is_main and options.store:
        name = put_into_store(folder, result.weights)
        callbacks.on_note(
            f"The generator was added to the store. Use it with: gramgan upscale photo.png --model {name}"
        )
    return result
