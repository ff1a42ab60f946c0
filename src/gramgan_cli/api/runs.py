"""Reading training runs: settings, scores and curves. This module does not import torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gramgan_cli.api.arguments import AnyPath, listed
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.measure import plot as curves
from gramgan_cli.engines.train.run import read_runs
from gramgan_cli.engines.train.run.read_runs import RunSummary
from gramgan_cli.recipes.convert import stated

__all__ = ["RunSummary", "compare_runs", "plot", "run_settings", "run_summary", "runs"]


def runs(folder: AnyPath = "runs") -> list[RunSummary]:
    """List the training runs in a folder and its subfolders.

    Returns:
        Recipe, network, steps done, and best and last values of each run.

    Raises:
        GramganError: the folder does not exist, or a run in it can't be read.
    """
    return [read_runs.summarise(path) for path in read_runs.find_runs(Path(folder))]


def run_summary(run: AnyPath) -> RunSummary:
    """Summarise one run: steps done, and best and last values.

    Raises:
        GramganError: there is no run in the folder.
    """
    return read_runs.summarise(Path(run))


def run_settings(run: AnyPath) -> Mapping[str, Any]:
    """Recipe settings of a run that differ from the defaults, by key, such as ``{"loss.texture": 0.5}``.

    Raises:
        GramganError: there is no run in the folder.
    """
    read_runs.summarise(Path(run))
    return stated(read_runs.recipe_of(Path(run)))


def compare_runs(runs: Sequence[AnyPath]) -> Mapping[str, Sequence[Any]]:
    """Recipe keys in which runs differ, with each run's value (None if a run lacks the key).

    Raises:
        UsageError: fewer than two runs were given.
        GramganError: there is no run in one of the folders.
    """
    paths = [Path(run) for run in listed(runs)]
    if len(paths) < 2:
        raise UsageError("A comparison needs at least two runs.", "Pass the folders of two runs.")
    return read_runs.differing_keys(paths)


def plot(runs: AnyPath | Sequence[AnyPath], output: AnyPath = "curves.png", *, overwrite: bool = False) -> Path:
    """Plot losses and validation scores of training runs; needs the extra [plot].

    Args:
        runs: one or several run folders; a run can be plotted while it is training.
        output: file to write: .png, .svg or .pdf.
        overwrite: replace an existing file.

    Returns:
        The file written.

    Raises:
        TargetExists: ``output`` exists.
        MissingExtra: matplotlib is not installed.
        GramganError: a folder has no metrics.
    """
    target = Path(output)
    curves.check_output(target, overwrite)
    curves.plot([Path(run) for run in listed(runs)], target)
    return target
