"""``gramgan train --json``: what a run reports, one JSON object a line on stdout."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from gramgan_cli.engines.train.callbacks import TrainCallbacks


def print_event(event: str, **values: Any) -> None:
    """One line. Numbers that are not finite become null: JSON has none."""
    plain = {key: value if _is_json(value) else None for key, value in values.items()}
    sys.stdout.write(json.dumps({"event": event, **plain}, allow_nan=False) + "\n")
    sys.stdout.flush()


def _is_json(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


class TrainEvents(TrainCallbacks):
    """Events ``note``, ``begin``, ``metrics`` and ``end``; the command adds ``result`` as the last one."""

    def on_note(self, text: str) -> None:
        """One line for the user."""
        print_event("note", text=text)

    def on_begin(self, done: int, total: int) -> None:
        """The loop starts."""
        print_event("begin", step=done, steps=total)

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """A row was added to the metrics."""
        print_event("metrics", **row)

    def on_end(self) -> None:
        """The loop is over."""
        print_event("end")
