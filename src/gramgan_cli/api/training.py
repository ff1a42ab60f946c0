"""``gramgan_cli.train``: training runs from Python."""

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
    """Keyword arguments of ``train``. Defaults are those of ``gramgan train``."""

    hr_dir: AnyPath | Sequence[AnyPath]
    """HR photos: one or several folders, file lists, known datasets or tar shards."""
    lr_dir: AnyPath | Sequence[AnyPath]
    """Given LR pictures, one folder per entry of ``hr_dir``; by default LR is made from HR."""
    valid_dir: AnyPath
    """Validation photos; by default some of ``hr_dir`` are held out."""
    valid_lr_dir: AnyPath
    """Given LR pictures of ``valid_dir``; by default LR is made from HR."""
    ref_dir: AnyPath
    """Reference photos, for networks with a reference."""
    db: AnyPath
    """Texture bank; the default bank by default."""
    init: str
    """Initial weights: a model's name, a file, or ``none`` for random ones."""
    settings: Mapping[str, Any]
    """Changes to the recipe, like ``--set``, such as ``{"steps": 1000, "loss.texture": 0.5}``."""
    out: AnyPath
    """Run folder, whose name becomes the model's; ``runs/RECIPE`` by default."""
    resume: bool
    """Continue the run in ``out``."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``mps`` or ``xpu``."""
    gpus: tuple[int, ...]
    """CUDA device numbers, one process each. Callbacks must then be picklable."""
    store: bool
    """Put the trained model into the store; True by default."""


def train(
    recipe: AnyPath | None = None,
    *,
    on_metrics: Callable[[Mapping[str, Any]], None] = ignore,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_note: Callable[[str], None] = ignore,
    should_stop: Callable[[], bool] = bool,
    **arguments: Unpack[TrainArguments],
) -> TrainResult:
    """Train a network on photos. A run has one folder; it can be stopped and resumed with bit-identical results.

    Args:
        recipe: name or TOML file of a recipe; by default ``gramgan``, or the one that a resumed run began with.
        on_metrics: called with each row of metrics: ``step``, ``lr``, ``loss.TERM``, ``psnr_y`` after a validation.
        on_progress: called after each step with (steps done, total).
        on_note: called with messages for the user.
        should_stop: called after each step; if it returns True, the run saves everything and ends.
        **arguments: ``TrainArguments``.

    Returns:
        Steps done, whether the run is finished (False if it was stopped), and the weights file.

    Raises:
        UsageError: the recipe or the arguments contradict each other.
        GramganError: photos or weights are missing or damaged, or a loss is not finite.
    """
    options = train_options(recipe, arguments)
    return run_training(options, partial(_Callbacks, on_metrics, on_progress, on_note, should_stop))


def check_training(recipe: AnyPath | None = None, **arguments: Unpack[TrainArguments]) -> Mapping[str, Any]:
    """Run all checks of ``train`` without training.

    Returns:
        Run folder, device, network, stages with their steps, and numbers of photos.

    Raises:
        UsageError, GramganError: as in ``train``.
    """
    options = train_options(recipe, arguments)
    resolved, folder = resolve_recipe(options)
    return launch.plan(resolved, folder, options)


def train_options(recipe: AnyPath | None, arguments: TrainArguments) -> TrainOptions:
    """Convert keyword arguments to options.

    Raises:
        TypeError: an argument is unknown.
        UsageError: both ``gpus`` and ``device`` are given.
    """
    check_known(arguments, TrainArguments)
    gpus, device = arguments.get("gpus", ()), arguments.get("device", "auto")
    if gpus and device != "auto":
        raise UsageError("Several GPUs and a device can't be combined.", "Leave one of them out.")
    return TrainOptions(
        recipe=None if recipe is None else fspath(recipe),
        settings=_settings(arguments),
        out=Path(arguments["out"]) if "out" in arguments else None,
        resume=arguments.get("resume", False),
        device=device,
        store=arguments.get("store", True),
        gpus=gpus,
    )


def _settings(arguments: TrainArguments) -> list[dict[str, Any]]:
    """Changes to the recipe from all arguments; ``settings`` override the others."""
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
    """Adapts the caller's functions to ``TrainCallbacks``."""

    metrics: Callable[[Mapping[str, Any]], None]
    progress: Callable[[int, int], None]
    note: Callable[[str], None]
    stop: Callable[[], bool]
    total: int = 0

    def on_note(self, text: str) -> None:
        """Pass on a line of text for the user."""
        self.note(text)

    def on_begin(self, done: int, total: int) -> None:
        """Report progress at the start of the loop."""
        self.total = total
        self.progress(done, total)

    def on_step(self, done: int) -> None:
        """Report progress after a step."""
        self.progress(done, self.total)

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """Pass on a row of metrics."""
        self.metrics(row)

    def should_stop(self) -> bool:
        """Whether the caller asks to stop."""
        return self.stop()
