"""Output lines and the progress bar of ``gramgan upscale``, for pictures and batch runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from gramgan_cli.cli import output as out
from gramgan_cli.cli.errors import with_flags

if TYPE_CHECKING:
    from gramgan_cli.engines.upscale.result import Result
    from gramgan_cli.engines.upscale.session import Session


def runs(session: Session) -> str:
    """Describe the session: 'Running photo and photo-gan (denoise 1, style 0.8) on cpu with ncnn.'"""
    from gramgan_cli.core.weights.mixing.mixture import Mixture
    from gramgan_cli.core.weights.mixing.square import CORNERS, automatic_style, position_of

    name, position, style = session.name, position_of(session.name), automatic_style(session.name)
    if mixture := Mixture.parse(name):
        name = _listed(list(mixture.shares))
    if position is not None:
        name += f" (denoise {position.denoise:g}, style {position.style:g})"
    elif style is not None:
        name = f"{_listed(sorted(CORNERS))} (denoise auto, style {style:g})"
    backend = f" with {session.backend}" if session.backend else ""
    return f"Running {name} on {session.device}{backend}."


def in_flags(result: Result) -> Result:
    """The result with option names in its messages replaced by flags."""
    warnings = [*map(with_flags, result.warnings)]
    return replace(result, error=result.error and with_flags(result.error), warnings=warnings)


def _listed(names: Sequence[str]) -> str:
    """Join names: 'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


class DamageNote:
    """Prints, once per run, advice that ``--denoise`` does not suit a photo."""

    def __init__(self, model: str) -> None:
        from gramgan_cli.core.weights.mixing.square import automatic_style

        self._given = automatic_style(model) is not None

    def __call__(self, result: Result) -> None:
        """Check one result; print the advice if it is the first."""
        from gramgan_cli.core.metrics.damage import Damage, advice

        if self._given or None in (result.denoise, result.noise, result.blocking, result.sharpness):
            return
        assert result.denoise is not None
        damage = Damage(result.noise or 0.0, result.blocking or 0.0, result.sharpness or 0.0)
        text = advice(damage, result.denoise)
        if text is not None:
            self._given = True
            out.note(f"{result.input}: {text} Without --model, --denoise auto chooses it for each photo.")


def left_out(results: Sequence[str]) -> str:
    """Line about results of earlier runs that are left out."""
    if len(results) == 1:
        return f"Left out {results[0]}, a result of an earlier run."
    return f"Left out {len(results)} results of earlier runs. To enlarge one of them again, pass its file name."


NAMED = 5
"""Most files in unsupported formats that are named."""


def foreign(found: Sequence[tuple[str, str]]) -> str:
    """Line that counts and names pictures in unsupported formats."""
    files = ", ".join(f"{path} ({kind})" for path, kind in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    what = "1 file in a format" if len(found) == 1 else f"{len(found)} files in formats"
    return f"Left out {what} that gramgan does not read in folders: {files}{more}."


def line_of(result: Result, quiet: bool = False) -> str:
    """Line of a result: path, sizes and time, if known; only the path if ``quiet``."""
    assert result.output is not None
    if quiet:
        return result.output
    if result.skipped or result.input_size is None or result.output_size is None:
        return f"{result.output} (already existed)"
    sizes = "{}x{} -> {}x{}".format(*result.input_size, *result.output_size)
    return (
        f"{result.output} ({sizes})" if result.seconds is None else f"{result.output} ({sizes}, {result.seconds:.1f} s)"
    )


def summarise(done: int, skipped: int, failed: Sequence[str], more: str = "") -> None:
    """Print the counts, and the failed pictures by name."""
    out.note(f"{done} upscaled, {skipped} skipped, {len(failed)} failed.{more}")
    for name in failed:
        out.note(f"  failed: {name}")


class _Count(ProgressColumn):
    """Column with photos done and in total."""

    def render(self, task: Task) -> Text:
        return Text(f"{int(task.completed)}/{task.total:.0f}")


class _Rate(ProgressColumn):
    """Column with photos per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.2f} photos/s" if task.speed else "")


class PhotoBar:
    """Progress bar on stderr with photos, photos per second and time left; hidden if stderr is not a terminal."""

    def __init__(self, total: int, completed: float = 0) -> None:
        self._progress = Progress(
            _Count(),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            _Rate(),
            TimeRemainingColumn(),
            console=out.stderr,
            transient=True,
            redirect_stdout=False,
            disable=not out.stderr.is_terminal,
        )
        self._task = self._progress.add_task("", total=total)
        self._completed, self._total = completed, total
        self._shared = out.stderr.is_terminal and sys.stdout.isatty()
        self._running = False

    def __enter__(self) -> Self:
        self._progress.update(self._task, completed=self._completed)
        self._progress.start()
        self._running = True
        return self

    def __exit__(self, *exception: object) -> None:
        self._running = False
        self._progress.stop()

    def advance(self, completed: float) -> None:
        """Set the number of photos done, including fractions; it never decreases."""
        self._completed = min(max(completed, self._completed), self._total)
        self._progress.update(self._task, completed=self._completed)

    def print(self, line: str) -> None:
        """Print a line of result to stdout, above the bar if both are on the same terminal."""
        if self._shared and self._running:
            encoding = sys.stdout.encoding or "utf-8"
            shown = line.encode(encoding, "backslashreplace").decode(encoding)
            self._progress.console.print(Text(shown), soft_wrap=True)
        else:
            out.print_line(line)
