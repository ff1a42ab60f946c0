"""Reading run folders: recipe, progress and metrics of finished and unfinished runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.recipes.convert import differences, flatten
from gramgan_cli.recipes.schema import Recipe


@dataclass(frozen=True)
class RunSummary:
    """Summary of one run folder."""

    path: str
    """The folder, as given or found."""
    recipe: str
    arch: str
    step: int
    """Last step in the metrics; 0 before the first row."""
    steps: int
    """Total steps of the recipe."""
    best: dict[str, float] = field(default_factory=dict)
    """Best value of each validation metric."""
    last: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric and loss."""

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps


SMALLER_IS_BETTER = ("valid_loss",)
"""Validation metrics whose best value is the smallest."""
MEASURED = ("psnr_y", "ssim_y", *SMALLER_IS_BETTER)


def find_runs(root: Path) -> list[Path]:
    """All run folders at or below ``root``, sorted, including first stages inside runs.

    Raises:
        GramganError: ``root`` is not a folder.
    """
    if not root.is_dir():
        raise GramganError(f"There is no folder {root}.", "Pass the folder that contains the runs, for example runs.")
    return sorted(path.parent for path in root.rglob("recipe.toml"))


def summarise(path: Path) -> RunSummary:
    """Summarise one run folder.

    Raises:
        GramganError: there is no run in the folder, or its recipe can't be read.
    """
    folder = RunFolder(path)
    if not folder.recipe_file.is_file():
        raise GramganError(f"There is no run in {path}.", "List the runs with: gramgan runs list")
    recipe = folder.recipe()
    rows = read_metrics(folder)
    best: dict[str, float] = {}
    last: dict[str, float] = {}
    for row in rows:
        for key, value in row.items():
            if key in ("step", "resumed_from") or not isinstance(value, int | float):
                continue
            last[key] = value
            if key in MEASURED:
                better = min if key in SMALLER_IS_BETTER else max
                best[key] = better(best.get(key, value), value)
    step = max((row["step"] for row in rows if "step" in row), default=0)
    return RunSummary(str(path), recipe.name, recipe.network["arch"], step, recipe.steps, best, last)


def read_metrics(folder: RunFolder) -> list[dict[str, Any]]:
    """The rows of a run's metrics. An incomplete last line, left by a killed run, is skipped."""
    rows = []
    if folder.metrics_file.is_file():
        for line in folder.metrics_file.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    return rows


def recipe_of(path: Path) -> Recipe:
    """The recipe of a run folder."""
    return RunFolder(path).recipe()


def differing_keys(paths: Sequence[Path]) -> dict[str, list[Any]]:
    """Recipe keys in which runs differ, with each run's value (None if a run lacks the key)."""
    recipes = [recipe_of(path) for path in paths]
    keys = sorted({key for other in recipes[1:] for key in differences(recipes[0], other)})
    flat = [flatten(recipe) for recipe in recipes]
    return {key: [values.get(key) for values in flat] for key in keys if key not in ("name", "summary", "source")}
