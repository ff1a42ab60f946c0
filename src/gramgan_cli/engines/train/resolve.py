"""Resolving a recipe and the user's settings into the recipe of a run: photos, initial weights, steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gramgan_cli.core import archs
from gramgan_cli.core.data.sources import locate_lr, locate_training, locate_validation
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.folders import data_dir
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.engines.train.options import DEFAULT_RECIPE, TrainOptions
from gramgan_cli.engines.train.photos.photo_set import count_photos
from gramgan_cli.engines.train.run.checkpoint import saved_step
from gramgan_cli.engines.train.run.model_name import default_folder
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.engines.train.steps.texture_term import with_bank
from gramgan_cli.engines.train.unused_settings import check_file, check_settings
from gramgan_cli.engines.train.warm_start import FIRST_STAGE_END, with_initial_network, with_start
from gramgan_cli.recipes.convert import differences, merge_all
from gramgan_cli.recipes.load import load_recipe, read_recipe
from gramgan_cli.recipes.schema import Recipe

MAY_CHANGE = {"steps", "epochs", "valid_every", "save_every", "log_every", "compute.threads", "compute.compile"}
"""Keys that a resumed run may change; any other change would make it a different run."""


def resolve_recipe(options: TrainOptions) -> tuple[Recipe, RunFolder]:
    """The recipe with the user's settings applied, and the run folder."""
    name = DEFAULT_RECIPE if options.recipe is None else options.recipe
    folder = RunFolder(options.out or default_folder(name))
    folder.check_folder()
    if options.resume:
        return _resumed(options, folder), folder
    stated = load_recipe(name)
    recipe = merge_all(stated, options.settings)
    recipe = with_initial_network(_with_length(options, recipe))
    check_recipe(recipe)
    check_settings(options.settings, recipe)
    check_file(read_recipe(name), stated, recipe)
    recipe = with_bank(recipe)
    if not recipe.data.hr_dir:
        raise UsageError("There are no photos to train on.", "Pass their folder with `hr_dir` DIR.")
    recipe = _with_photos(recipe)
    recipe = with_start(recipe)
    _check_stated_network(options, recipe)
    recipe = with_steps(_with_given_lr(recipe))
    check_recipe(recipe)  # again, since the initial weights may have replaced the network
    return recipe, folder


def _with_length(options: TrainOptions, recipe: Recipe) -> Recipe:
    """The recipe with the length that the user chose last: steps replace the recipe's epochs."""
    chosen = [key for setting in options.settings for key in setting if key in ("steps", "epochs")]
    return dataclasses.replace(recipe, epochs=0.0) if chosen and chosen[-1] == "steps" else recipe


def _resumed(options: TrainOptions, folder: RunFolder) -> Recipe:
    """The run's recorded recipe with the user's settings, which may only change ``MAY_CHANGE``."""
    recorded = folder.recipe()
    if options.recipe is not None and recorded.name not in _names(options.recipe):
        raise UsageError(
            f"The run in {folder.path} follows the recipe {recorded.name}, not {options.recipe}.",
            f"Pass only the run's folder (`out` {folder.path}), or start another run with another `out`.",
        )
    recipe = merge_all(recorded, options.settings)
    if any("data" in setting for setting in options.settings):
        recipe = _with_given_lr(_with_photos(recipe))
    changed = [key for key in differences(recorded, recipe) if key not in MAY_CHANGE]
    if changed:
        last = folder.weights("last")
        start = f" and `init` {last}" if last.is_file() else ""
        raise UsageError(
            f"A resumed run keeps its recipe: {', '.join(changed)} can't change.",
            f"These can: {', '.join(sorted(MAY_CHANGE))}. Or start another run with another `out`{start}.",
        )
    recipe = recipe if recipe.epochs == recorded.epochs else with_steps(recipe)
    _check_steps(recipe, folder)
    return recipe


def _names(recipe: str) -> set[str]:
    """Names that a run of the recipe may have recorded: its file's name, and the name that the file states."""
    names = {recipe, Path(recipe).stem}
    with suppress(GramganError):  # the file may be gone since
        names.add(load_recipe(recipe).name)
    return names


def _check_steps(recipe: Recipe, folder: RunFolder) -> None:
    """Raise UsageError if the run has done more steps than the recipe has."""
    done = saved_step(folder.state_file) if folder.state_file.is_file() else 0
    if done > recipe.steps:
        raise UsageError(
            f"The run in {folder.path} has done {done} steps, more than {recipe.steps}.",
            f"Set `steps` above {done} to train on.",
        )


def _with_photos(recipe: Recipe) -> Recipe:
    """The recipe with the locations of its HR photos; a known dataset gives its training and validation halves."""
    folders = [data_dir()]
    found = [locate_training(source, folders) for source in recipe.data.hr_dir]
    valid = recipe.data.valid_dir
    valid = locate_validation(valid, folders) if valid else next((one.valid for one in found if one.valid), "")
    hr_dir = tuple(one.location for one in found)
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, hr_dir=hr_dir, valid_dir=valid))


def _with_given_lr(recipe: Recipe) -> Recipe:
    """The recipe with the folders of given LR, which depend on the network's scale."""
    data, scale, folders = recipe.data, scale_of(recipe), [data_dir()]
    if not data.lr_dir:
        return recipe
    if len(data.lr_dir) != len(data.hr_dir):
        raise UsageError(
            f"There are {len(data.lr_dir)} folders of LR photos for {len(data.hr_dir)} of HR photos.",
            "Pass one `lr_dir` for each `hr_dir`, in the same order.",
        )
    lr_dir = tuple(locate_lr(lr, hr, scale, folders) for lr, hr in zip(data.lr_dir, data.hr_dir, strict=True))
    valid_lr = data.valid_lr_dir and locate_lr(data.valid_lr_dir, data.valid_dir, scale, folders)
    return dataclasses.replace(recipe, data=dataclasses.replace(data, lr_dir=lr_dir, valid_lr_dir=valid_lr))


def with_steps(recipe: Recipe) -> Recipe:
    """The recipe with ``steps`` computed from ``epochs``, if set. An epoch is one crop per photo."""
    if not recipe.epochs:
        return recipe
    photos, _, _ = count_photos(recipe, scale_of(recipe))
    return dataclasses.replace(recipe, steps=max(1, math.ceil(recipe.epochs * photos / recipe.batch_size)))


def scale_of(recipe: Recipe) -> int:
    """Scale factor of the recipe's network."""
    return archs.describe_network(recipe.network).scale


def _check_stated_network(options: TrainOptions, recipe: Recipe) -> None:
    """Raise UsageError if the user set a network that differs from that of the initial weights."""
    if recipe.init in ("", "none", FIRST_STAGE_END):
        return
    stated: dict[str, Any] = {}
    for setting in options.settings:
        network: Mapping[str, Any] = setting.get("network", {})
        stated = {**({} if "arch" in network else stated), **network}
    arch = recipe.network["arch"]
    if stated.get("arch", arch) != arch:
        raise UsageError(
            f"The weights {recipe.init} are for {arch}, not {stated['arch']}.",
            "Leave out `network.arch`, or start with `init` none.",
        )
    given = {key: value for key, value in recipe.network.items() if key != "arch"}
    brought = archs.complete(arch, given)
    for key, value in stated.items():
        if key != "arch" and _plain(brought.get(key)) != _plain(value):
            has = f"have {key}={brought[key]}" if key in brought else f"are for {arch}, which has no '{key}'"
            raise UsageError(
                f"The weights {recipe.init} {has}, but network.{key}={value} is set.",
                f"Leave out network.{key}, or start with `init` none.",
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value
