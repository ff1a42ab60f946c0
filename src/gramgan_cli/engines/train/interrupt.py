"""SIGINT and SIGTERM as an event that the training loop checks between steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAME_CTRL_C = 1.0
"""Signals within this many seconds of the first count as one."""


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Context in which the first SIGINT or SIGTERM sets the event; a second Ctrl-C raises KeyboardInterrupt.

    Signals within ``SAME_CTRL_C`` seconds count as one: the terminal and the launcher both send one to every process.
    """
    requested = threading.Event()
    first = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        del frame
        if requested.is_set() and number == signal.SIGINT and time.monotonic() - first > SAME_CTRL_C:
            raise KeyboardInterrupt
        first = first or time.monotonic()
        requested.set()

    if threading.current_thread() is not threading.main_thread():
        yield requested
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
