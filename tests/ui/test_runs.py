"""The queue of runs of ``gramgan ui``, without a server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gramgan_cli.ui.enlarge import Enlarger
from gramgan_cli.ui.runs import Run, Runs

FAULTS = [RuntimeError("bad\nluck."), MemoryError(), ValueError("no such shape")]


class Faulty(Enlarger):
    """Raises an error for the photo ``bad``; has no photos otherwise."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def files(self, inputs, *_):
        if "bad" in inputs:
            raise self.error
        return iter(())


def ended(run: Run) -> Run:
    for _ in range(200):
        if run.state not in ("waiting", "working"):
            return run
        time.sleep(0.05)
    raise AssertionError(f"the run is still {run.state}")


@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unexpected_error_fails_its_run_alone(tmp_path: Path, error: Exception) -> None:
    runs = Runs(Faulty(error), tmp_path)
    first = runs.start("first", ("bad",), None, {})
    second = runs.start("second", ("good",), None, {})
    assert ended(first).state == "failed"
    assert first.error is not None
    assert first.error.endswith(".")
    assert "\n" not in first.error
    assert ended(second).state == "done"
    runs.close()
