"""What a training run reports while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TrainCallbacks:
    """Override what is of interest; this class does nothing. All processes but the first have it."""

    def on_prepare(self, done: int, total: int) -> None:
        """``done`` of ``total`` photos are decoded."""

    def on_note(self, text: str) -> None:
        """One line for the user."""

    def on_begin(self, done: int, total: int) -> None:
        """The loop starts, ``done`` steps into ``total``."""

    def on_step(self, done: int) -> None:
        """Step number ``done`` is over."""

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """A row was added to the metrics."""

    def should_stop(self) -> bool:
        """Whether the run should save everything and end; asked after each step."""
        return False

    def on_end(self) -> None:
        """The loop is over."""
