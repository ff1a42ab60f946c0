"""``gramgan_cli.train``: a training run from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import fspath
from pathlib import Path
from typing import Any, TypedDict, Unpack

from gramgan_cli.api.arguments import AnyPath, check_known, listed
from gramgan_cli.api.callbacks import ignore
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train import launch
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.launch import train as run_training
from gramgan_cli.engines.train.options import TrainOptions, TrainResult
from gramgan_cli.engines.train.resolve import resolve_recipe
from gramgan_cli.recipes.convert import nested

__all__ = ["TrainResult", "check_training", "train"]


class TrainArguments(TypedDict, total=False):
    """What is trained. Every default is that of ``gramgan train``."""

    hr_dir: AnyPath | Sequence[AnyPath]
    """Sharp photos to learn from: folders, lists, known datasets, tar shards; or one of them."""
    lr_dir: AnyPath | Sequence[AnyPath]
    """Given LR pictures of ``hr_dir``, one folder for each; without it LR is made."""
    valid_dir: AnyPath
    """Photos to measure on; without it some of ``hr_dir`` are held out."""
    valid_lr_dir: AnyPath
    """Given LR pictures of ``valid_dir``; without it LR is made."""
    ref_dir: AnyPath
    """Reference photos, for networks that take them."""
    db: AnyPath
    """Texture bank; the default bank without it."""
    init: str
    """Start from these weights, a model's name or a file, or ``none``."""
    settings: Mapping[str, Any]
    """Changes to the recipe, such as ``{"steps": 1000, "loss.texture": 0.5}``: what ``--set`` takes."""
    out: AnyPath
    """Run folder; its name becomes the model's. Without it: ``runs/RECIPE``."""
    resume: bool
    """Continue the run in ``out``."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``mps`` or ``xpu``."""
    gpus: tuple[int, ...]
    """Several GPUs, one process each. Callbacks must then be functions that can be pickled."""
    store: bool
    """Put the trained model into the store; by default it is."""


def train(
    recipe: AnyPath = "gramgan",
    *,
    on_metrics: Callable[[Mapping[str, Any]], None] = ignore,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_note: Callable[[str], None] = ignore,
    should_stop: Callable[[], bool] = bool,
    **arguments: Unpack[TrainArguments],
) -> TrainResult:
    """Train a network on photos. A run lives in one folder, can be stopped, and resumes to the same bits.

    Args:
        recipe: name of a recipe, or a TOML file.
        on_metrics: called with each row of metrics: ``step``, ``lr``, ``loss.TERM``, ``psnr_y`` after a validation.
        on_progress: called after each step with the steps that are done, and all steps.
        on_note: called with a sentence that the user should know.
        should_stop: asked after each step; where it returns True, the run saves everything and ends.
        **arguments: ``TrainArguments``.

    Returns:
        Steps done, whether the run is finished (False: it was stopped), and the file of the weights.

    Raises:
        UsageError: a recipe or arguments that can't work.
        GramganError: photos or weights that are missing or damaged; a loss that is not finite.
    """
    options = train_options(recipe, arguments)
    return run_training(options, partial(_Callbacks, on_metrics, on_progress, on_note, should_stop))


def check_training(recipe: AnyPath = "gramgan", **arguments: Unpack[TrainArguments]) -> Mapping[str, Any]:
    """Check everything that ``train`` would, and train nothing.

    Returns:
        What would be done: run folder, device, network, stages with their steps, numbers of photos.

    Raises:
        UsageError, GramganError: as ``train`` does.
    """
    options = train_options(recipe, arguments)
    resolved, folder = resolve_recipe(options)
    return launch.plan(resolved, folder, options)


def train_options(recipe: AnyPath, arguments: TrainArguments) -> TrainOptions:
    """The options that these arguments mean.

    Raises:
        TypeError: an argument that does not exist.
        UsageError: ``gpus`` beside ``device``.
    """
    check_known(arguments, TrainArguments)
    gpus, device = arguments.get("gpus", ()), arguments.get("device", "auto")
    if gpus and device != "auto":
        raise UsageError("Several GPUs and a device exclude each other.", "Leave one of them out.")
    return TrainOptions(
        fspath(recipe),
        _settings(arguments),
        Path(arguments["out"]) if "out" in arguments else None,
        arguments.get("resume", False),
        device,
        store=arguments.get("store", True),
        gpus=gpus,
    )


def _settings(arguments: TrainArguments) -> list[dict[str, Any]]:
    """Changes to the recipe, ``settings`` last."""
    named: dict[str, Any] = {}
    if "hr_dir" in arguments:
        named["data.hr_dir"] = listed(arguments["hr_dir"])
    if "lr_dir" in arguments:
        named["data.lr_dir"] = listed(arguments["lr_dir"])
    if "valid_dir" in arguments:
        named["data.valid_dir"] = fspath(arguments["valid_dir"])
    if "valid_lr_dir" in arguments:
        named["data.valid_lr_dir"] = fspath(arguments["valid_lr_dir"])
    if "ref_dir" in arguments:
        named |= {"data.ref_dir": str(Path(arguments["ref_dir"]).resolve()), "data.references": "folder"}
    if "db" in arguments:
        named["texture.db"] = str(Path(arguments["db"]).resolve())
    if "init" in arguments:
        named["init"] = arguments["init"]
    named |= arguments.get("settings", {})
    return [nested(key, value) for key, value in named.items()]


@dataclass
class _Callbacks(TrainCallbacks):
    """The caller's functions as what the trainer calls."""

    metrics: Callable[[Mapping[str, Any]], None]
    progress: Callable[[int, int], None]
    note: Callable[[str], None]
    stop: Callable[[], bool]
    total: int = 0

    def on_note(self, text: str) -> None:
        """One line for the user."""
        self.note(text)

    def on_begin(self, done: int, total: int) -> None:
        """The loop starts."""
        self.total = total
        self.progress(done, total)

    def on_step(self, done: int) -> None:
        """A step is over."""
        self.progress(done, self.total)

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """A row was added."""
        self.metrics(row)

    def should_stop(self) -> bool:
        """Whether the caller wants the run to end."""
        return self.stop()
