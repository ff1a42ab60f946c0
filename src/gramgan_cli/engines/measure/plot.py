"""``gramgan plot``: losses, validation scores and learning rate of training runs, plotted over the steps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gramgan_cli.core.errors import GramganError, MissingExtra, UsageError
from gramgan_cli.core.io.files import check_target, replacing
from gramgan_cli.core.io.folders import cache_dir

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

RUN_HINT = "Pass a folder that gramgan train wrote, or its metrics.jsonl."

FORMATS = (".png", ".svg", ".pdf")

VALIDATION = {
    "psnr_y": "validation PSNR on Y, dB",
    "ssim_y": "validation SSIM on Y",
    "valid_loss": "validation loss",
}
"""Panel titles of the validation metrics."""

TITLES = {**VALIDATION, "lr": "learning rate"}


@dataclass
class Curves:
    """Recorded curves of one run."""

    name: str
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """(step, value) pairs by quantity, in the order of the file."""
    resumed: list[int] = field(default_factory=list)
    """Steps at which the run was resumed."""


def read_curves(run: Path) -> Curves:
    """Read the curves of a run folder (or of its ``metrics.jsonl``).

    Raises GramganError if there are no metrics, or if a line other than the last is damaged. A running training may be
    writing the last line.
    """
    file = run / "metrics.jsonl" if run.is_dir() else run
    curves = Curves(file.resolve().parent.name)
    for row in _rows(file):
        step = row.pop("step", None)
        if not isinstance(step, int):
            raise GramganError(f"{file} has a row without a step, so it is not a run's metrics.", RUN_HINT)
        if "resumed_from" in row:
            curves.resumed.append(step)
            continue
        for key, value in row.items():
            if isinstance(value, int | float):
                curves.series.setdefault(key, []).append((step, float(value)))
    if not curves.series:
        raise GramganError(f"{file} contains no metrics yet.", "A run writes them while it trains.")
    return curves


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a metrics file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise GramganError(f"There is no run at {file}.", RUN_HINT) from error
    except UnicodeDecodeError as error:
        raise GramganError(f"{file} is not a run's metrics: it is not a text file.", RUN_HINT) from error
    except OSError as error:
        raise GramganError(f"{file} can't be read: {error.strerror or error}.", RUN_HINT) from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines) and line.startswith("{"):
                return
            raise GramganError(f"{file}, line {number}, is not JSON.", RUN_HINT) from error
        if not isinstance(row, dict):
            raise GramganError(f"{file}, line {number}, is not a JSON object.")
        yield row


def panels_of(runs: Sequence[Curves]) -> list[str]:
    """Quantities to plot: validation metrics first, then the losses, the learning rate last."""
    every = list(dict.fromkeys(key for run in runs for key in run.series))
    scores = [key for key in VALIDATION if key in every]
    rate = [key for key in ("lr",) if key in every]
    return [*scores, *(key for key in every if key not in (*scores, *rate)), *rate]


def draw_curves(runs: Sequence[Curves]) -> Figure:
    """Plot one panel per quantity and one line per run. Dotted vertical lines mark where a run was resumed."""
    # matplotlib writes a font cache, by default into the home folder.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_dir() / "matplotlib"))
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("Drawing needs matplotlib.", "plot") from error
    panels = panels_of(runs)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.4 * columns, 3.2 * rows), layout="constrained", dpi=120)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    lines: list[Line2D] = []
    for key, axis in zip(panels, axes, strict=False):
        for index, run in enumerate(runs):
            points = run.series.get(key, [])
            marker = "o" if key in VALIDATION or len(points) == 1 else ""
            colour = f"C{index % 10}"
            lines += axis.plot(
                [step for step, _ in points],
                [value for _, value in points],
                label=run.name,
                color=colour,
                marker=marker,
                markersize=3,
                linewidth=1.2,
            )
            for step in run.resumed:
                axis.axvline(step, color=colour, linestyle=":", linewidth=0.8)
        axis.set_title(_literal(TITLES.get(key, key.replace("loss.", "loss: "))), fontsize=10)
        axis.set_xlabel("step", fontsize=9)
        axis.grid(alpha=0.3)
        axis.margins(x=0.02)
    for axis in list(axes):
        axis.set_visible(False)
    if len(runs) > 1:
        # Lines and names are passed, since matplotlib leaves out labels that begin with '_'.
        figure.axes[0].legend(lines[: len(runs)], [_literal(run.name) for run in runs], fontsize=8)
    else:
        figure.suptitle(_literal(runs[0].name), fontsize=11)
    return figure


def _literal(text: str) -> str:
    """A text that matplotlib draws as it is: it would typeset a formula between two '$'."""
    return text.replace("$", r"\$")


def check_output(path: Path, overwrite: bool) -> None:
    """Raise UsageError for a suffix that can't be written, TargetExists if the file exists and is not overwritten."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"Curves are drawn to a {', '.join(FORMATS)} file, not '{path.name}'.", "Choose another file name."
        )
    check_target(path, overwrite)


def plot(runs: Sequence[Path], path: Path) -> None:
    """Plot the curves of ``runs`` and save the figure as ``path``."""
    curves = [read_curves(run) for run in runs]
    names = [run.name for run in curves]
    for run, folder in zip(curves, runs, strict=True):
        if names.count(run.name) > 1:
            run.name = str(folder)
    figure = draw_curves(curves)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().removeprefix("."))
