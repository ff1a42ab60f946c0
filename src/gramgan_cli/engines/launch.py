"""From what a person asked for to a run: the resolved recipe, its folder, and the loop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gramgan_cli.core.device import pick_device
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.distributed import Group
from gramgan_cli.engines.run_folder import RunFolder
from gramgan_cli.engines.train import Outcome, Reporter, Run, split_photos
from gramgan_cli.recipes.convert import differences, merge
from gramgan_cli.recipes.load import load_recipe
from gramgan_cli.recipes.schema import Recipe

MAY_CHANGE = {"steps", "valid_every", "save_every", "log_every", "compute.threads", "compute.compile"}
"""What a resumed run may be told anew; everything else would make it another run."""


@dataclass(frozen=True)
class Order:
    """One call of ``gramgan train``."""

    recipe: str
    """Name or TOML file."""
    settings: Sequence[Mapping[str, Any]] = ()
    """Changes to the recipe, in order."""
    out: Path | None = None
    """Run folder; None is ``runs/RECIPE``."""
    resume: bool = False
    """Go on with the run in the folder."""
    device: str = "auto"
    """Where it computes."""
    gpus: tuple[int, ...] = field(default=())
    """CUDA devices, one process each."""


def _with_initial_network(recipe: Recipe) -> Recipe:
    """Weights to start from bring their architecture; a network named beside them must be the same."""
    if recipe.init in ("", "none"):
        return recipe
    header = load_model(recipe.init).header
    brought = {"arch": header.arch, **header.hyperparameters}
    if any(brought.get(key, value) != value for key, value in recipe.network.items() if key != "arch"):
        raise UsageError(f"The network of {recipe.init} is {brought}, the recipe asks for {dict(recipe.network)}.")
    return replace(recipe, network=brought)


def resolve_recipe(order: Order) -> tuple[Recipe, RunFolder]:
    """The recipe of a run with all that the person set, and the folder that it lives in."""
    folder = RunFolder(order.out or Path("runs") / Path(order.recipe).stem)
    if order.resume:
        recorded = folder.recipe()
        recipe = recorded
        for setting in order.settings:
            recipe = merge(recipe, setting)
        changed = [key for key in differences(recorded, recipe) if key not in MAY_CHANGE]
        if changed:
            raise UsageError(
                f"A resumed run keeps its recipe; {', '.join(changed)} can't change.",
                f"What can: {', '.join(sorted(MAY_CHANGE))}. For another run use --init {folder.weights('last')}.",
            )
        return recipe, folder
    recipe = load_recipe(order.recipe)
    for setting in order.settings:
        recipe = merge(recipe, setting)
    if not recipe.data.hr_dir:
        raise UsageError("There are no photos to train on.", "Name their folder by --hr-dir DIR.")
    return _with_initial_network(recipe), folder


def plan(recipe: Recipe, folder: RunFolder, device: str) -> dict[str, Any]:
    """What a run would do, for ``--dry-run``; everything that can be checked beforehand is."""
    train, valid, line = split_photos(recipe)
    return {
        "run": str(folder.path),
        "device": str(pick_device(device)),
        "network": dict(recipe.network),
        "steps": recipe.steps,
        "photos": len(train),
        "validation_photos": len(valid),
        "data": line,
    }


def train(order: Order, reporter: Reporter) -> Outcome:
    """Train as ordered; a finished run's generator is in the store under the run's name."""
    recipe, folder = resolve_recipe(order)
    if order.resume:
        folder.rewrite_recipe(recipe)
    name = model_name(folder)
    split_photos(recipe)
    device = pick_device(order.device)
    if not order.resume:
        folder.begin(recipe)
    outcome = Run(recipe, folder, device, reporter, Group(), order.resume).loop()
    if outcome.finished:
        store.put(name, outcome.weights)
        reporter.note(f"The generator is in the store: gramgan upscale photo.png --model {name}")
    return outcome


def model_name(folder: RunFolder) -> str:
    """The name under which a run's generator goes into the store; a run folder that gives none is refused early."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.name.lower()).strip("._-")
    try:
        return store.check_free(name)
    except GramganError as error:
        raise GramganError(f"The run folder {folder.path} gives no model name: {error.message}", error.hint) from error
