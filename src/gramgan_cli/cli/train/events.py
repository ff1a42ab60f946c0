"""``gramgan train --json``: events of a run on stdout, one JSON object per line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from gramgan_cli.cli.errors import with_flags
from gramgan_cli.engines.train.callbacks import TrainCallbacks


def print_event(event: str, **values: Any) -> None:
    """Print one event. Non-finite numbers become null, since JSON lacks them."""
    plain = {key: value if _is_json(value) else None for key, value in values.items()}
    sys.stdout.write(json.dumps({"event": event, **plain}, allow_nan=False) + "\n")
    sys.stdout.flush()


def _is_json(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


class TrainEvents(TrainCallbacks):
    """Prints the events ``note``, ``begin``, ``metrics`` and ``end``; the command adds ``result`` at the end."""

    def on_note(self, text: str) -> None:
        """Print the event ``note``."""
        print_event("note", text=with_flags(text))

    def on_begin(self, done: int, total: int) -> None:
        """Print the event ``begin``."""
        print_event("begin", step=done, steps=total)

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """Print the event ``metrics``."""
        print_event("metrics", **row)

    def on_end(self) -> None:
        """Print the event ``end``."""
        print_event("end")
