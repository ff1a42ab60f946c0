"""Callbacks of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TrainCallbacks:
    """Base class whose methods do nothing; override those you need. Only the main process gets the user's callbacks."""

    def on_prepare(self, done: int, total: int) -> None:
        """Called after ``done`` of ``total`` photos are decoded."""

    def on_note(self, text: str) -> None:
        """Called with one line of text for the user."""

    def on_begin(self, done: int, total: int) -> None:
        """Called when the loop starts; ``done`` of ``total`` steps are done already."""

    def on_step(self, done: int) -> None:
        """Called after each step; ``done`` is the number of steps done."""

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """Called with each row that is added to the metrics."""

    def should_stop(self) -> bool:
        """Return True to save everything and stop. Called after each step."""
        return False

    def on_end(self) -> None:
        """Called when the loop ends."""
