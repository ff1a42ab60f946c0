"""Who tells the person how a training run goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Reporter:
    """Tells the person how a run goes. This one is silent: what all processes but the first have."""

    def preparing(self, done: int, total: int) -> None:
        """Photos decoded so far."""

    def note(self, text: str) -> None:
        """One line worth reading."""

    def begin(self, done: int, total: int) -> None:
        """The loop starts, ``done`` steps into ``total``."""

    def step(self, done: int) -> None:
        """A step is over."""

    def metrics(self, row: Mapping[str, Any]) -> None:
        """A row went into the metrics."""

    def end(self) -> None:
        """The loop is over."""
