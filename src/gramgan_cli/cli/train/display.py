"""Display of a training run in the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gramgan_cli.cli.output import note, stderr
from gramgan_cli.engines.train.callbacks import TrainCallbacks


class TrainDisplay(TrainCallbacks):
    """Shows a progress bar on a terminal, and a line per row of metrics elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}"),
            console=stderr,
            disable=quiet or not stderr.is_terminal,
        )
        self._task: TaskID | None = None
        self._began, self._first = 0.0, 0

    def _track(self, description: str, done: int, total: int) -> TaskID:
        if self._task is None:
            self.bar.start()
            self._task = self.bar.add_task(description, total=total, completed=done, rate="", latest="")
        return self._task

    def _drop(self) -> None:
        if self._task is not None:
            self.bar.stop()
            self.bar.remove_task(self._task)
            self._task = None

    def on_prepare(self, done: int, total: int) -> None:
        """Show the number of decoded photos."""
        self.bar.update(self._track("Preparing photos", 0, total), completed=done)
        if done == total:
            self._drop()

    def on_note(self, text: str) -> None:
        """Print a note unless quiet."""
        if not self.quiet:
            note(text)

    def on_begin(self, done: int, total: int) -> None:
        """Start the progress bar."""
        self._began, self._first = time.monotonic(), done
        self._track("Training", done, total)

    def on_step(self, done: int) -> None:
        """Update steps and rate."""
        assert self._task is not None
        rate = (done - self._first) / max(1e-9, time.monotonic() - self._began)
        self.bar.update(self._task, completed=done, rate=f"{rate:.2f} steps/s")

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """Show a row of metrics."""
        parts = [f"{key.removeprefix('loss.')} {value:.5g}" for key, value in row.items() if key != "step"]
        text = "  ".join(parts)
        if self.bar.disable:
            self.on_note(f"step {row['step']}  {text}")
        elif self._task is not None:
            self.bar.update(self._task, latest=text)
            if "psnr_y" in row:
                self.bar.console.print(f"step {row['step']}  {text}")

    def on_end(self) -> None:
        """Remove the progress bar."""
        self._drop()
