"""From options to a run: the resolved recipe, its folder, its stages, its processes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.data.shards import find_shards
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.options import TrainOptions, TrainResult
from gramgan_cli.engines.train.parallel import processes
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.photo_set import split_photos
from gramgan_cli.engines.train.photos.shard_photos import shard_photos
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.engines.train.setup import set_up
from gramgan_cli.engines.train.steps.terms import extractor_of
from gramgan_cli.engines.train.steps.texture_term import with_bank
from gramgan_cli.engines.train.trainer import Trainer
from gramgan_cli.engines.train.warm_start import first_stage, needs_first_stage, with_start
from gramgan_cli.recipes.convert import differences, merge
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

MAY_CHANGE = {"steps", "valid_every", "save_every", "log_every", "compute.threads", "compute.compile"}
"""What a resumed run may change; everything else would make it another run."""


def resolve_recipe(options: TrainOptions) -> tuple[Recipe, RunFolder]:
    """The recipe of a run with all that the user set, and the folder that it lives in."""
    folder = RunFolder(options.out or Path("runs") / Path(options.recipe).stem)
    if options.resume:
        recorded = folder.recipe()
        recipe = recorded
        for setting in options.settings:
            recipe = merge(recipe, setting)
        changed = [key for key in differences(recorded, recipe) if key not in MAY_CHANGE]
        if changed:
            last = folder.weights("last")
            start = f" with --init {last}" if last.is_file() else ""
            raise UsageError(
                f"A resumed run keeps its recipe; {', '.join(changed)} can't change.",
                f"What can: {', '.join(sorted(MAY_CHANGE))}. For another run name another --out{start}.",
            )
        return recipe, folder
    recipe = load_recipe(options.recipe)
    for setting in options.settings:
        recipe = merge(recipe, setting)
    check_recipe(recipe)
    recipe = with_bank(recipe)
    if not recipe.data.hr_dir:
        raise UsageError("There are no photos to train on.", "Name their folder by --hr-dir DIR.")
    recipe = with_start(recipe)
    _check_stated_network(options, recipe)
    check_recipe(recipe)  # once more: the network may have come with the weights
    return recipe, folder


def _check_stated_network(options: TrainOptions, recipe: Recipe) -> None:
    """Weights to start from bring their architecture; another one that the user named is an error."""
    stated = [setting["network"]["arch"] for setting in options.settings if "arch" in setting.get("network", {})]
    if stated and stated[-1] != recipe.network["arch"]:
        raise UsageError(
            f"The weights {recipe.init} are of {recipe.network['arch']}, not {stated[-1]}.",
            "Leave out --arch, or start with --init none.",
        )


def plan(recipe: Recipe, folder: RunFolder, options: TrainOptions) -> dict[str, Any]:
    """What a run would do, for ``--dry-run``; everything that can be checked beforehand is."""
    photos, validation, line = _photo_counts(recipe)
    stages = []
    if needs_first_stage(recipe, folder):
        before, where = first_stage(recipe, folder)
        stages.append({"recipe": before.name, "steps": before.steps, "run": str(where.path)})
    stages.append({"recipe": recipe.name, "steps": recipe.steps, "run": str(folder.path)})
    return {
        "run": str(folder.path),
        "model": model_name(folder),
        "device": [f"cuda:{gpu}" for gpu in options.gpus] or str(pick_device(options.device)),
        "network": dict(recipe.network),
        "init": recipe.init or "none",
        "stages": stages,
        "photos": photos,
        "validation_photos": validation,
        "data": line,
    }


def _photo_counts(recipe: Recipe) -> tuple[int, int, str]:
    """Photos to train on, photos to measure on, and a line that says which are which."""
    if files := find_shards(recipe.data.hr_dir):
        sharded = shard_photos(recipe, files)
        held_out = len(sharded.held_out)
        return sharded.shards.photos - held_out, held_out or len(sharded.valid_paths), sharded.line
    train_photos, valid_photos, line = split_photos(recipe)
    return len(train_photos), len(valid_photos), line


def train(options: TrainOptions, make_callbacks: Callable[[], TrainCallbacks]) -> TrainResult:
    """Train; a finished run's generator is in the store under the run's name.

    Called once per process: by the user's command, by each process that ``--gpus`` started, or by torchrun.
    """
    if options.gpus and not processes.is_worker():
        return processes.start(len(options.gpus), partial(train, options, make_callbacks))
    group, device = processes.join(options.gpus, options.device)
    try:
        return _train(options, make_callbacks() if group.is_main else TrainCallbacks(), group, device)
    finally:
        processes.leave()


def _train(options: TrainOptions, callbacks: TrainCallbacks, group: Group, device: torch.device) -> TrainResult:
    """The stages of a run, one after another. What can't work is refused before anything is written."""
    recipe, folder = resolve_recipe(options)
    name = model_name(folder)
    if not options.resume:
        folder.check_new()
    if recipe.loss.perceptual:
        extractor_of(recipe)  # hours of a first stage must not end at a file that is not there
    group.barrier()  # every process has read what was there before the main one writes
    if needs_first_stage(recipe, folder):
        before, inside = first_stage(recipe, folder)
        callbacks.on_note(f"First stage: {before.steps} steps of recipe {before.name} (skip it by --init none).")
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
    if result.finished and group.is_main:
        store.put(name, result.weights)
        callbacks.on_note(f"The generator is in the store: gramgan upscale photo.png --model {name}")
    return result


def model_name(folder: RunFolder) -> str:
    """The name under which a run's generator goes into the store; a run folder that gives none is refused early."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.name.lower()).strip("._-")
    try:
        return store.check_free(name)
    except GramganError as error:
        raise GramganError(f"The run folder {folder.path} gives no model name: {error.message}", error.hint) from error
