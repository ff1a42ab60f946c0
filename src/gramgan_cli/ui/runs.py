"""Queue of runs over whole photos, in a thread, with progress and cancellation."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gramgan_cli.core.errors import GramganError, in_plain_words
from gramgan_cli.ui.enlarge import Cancelled, Enlarger

if TYPE_CHECKING:
    from gramgan_cli import Result
    from gramgan_cli.api.upscale.options import UpscaleArguments

_log = logging.getLogger(__name__)

State = Literal["waiting", "working", "done", "failed", "cancelled"]
ItemState = Literal["waiting", "done", "skipped", "failed"]


OPTIONS = ("denoise", "format", "output", "overwrite", "quality", "recursive")
"""Options that the page offers, as messages name them."""


@dataclass
class Item:
    """One photo of a run."""

    name: str
    state: ItemState = "waiting"
    output: str | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None


@dataclass
class Run:
    """A run that the user started."""

    key: str
    title: str
    inputs: tuple[str, ...]
    output: Path | None
    """Folder of its results; None means next to each photo."""
    arguments: UpscaleArguments
    download: bool
    """Whether results go to the temporary folder, for download by the browser."""
    state: State = "waiting"
    progress: float = 0.0
    """Fraction done, 0 to 1."""
    items: list[Item] = field(default_factory=list)
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def facts(self) -> dict[str, Any]:
        """The run's state as JSON for the page."""
        return {
            "key": self.key,
            "title": self.title,
            "state": self.state,
            "progress": round(self.progress, 4),
            "download": self.download,
            "folder": str(self.output) if self.output and not self.download else None,
            "error": self.error,
            "counts": {
                state: sum(item.state == state for item in self.items) for state in ("done", "skipped", "failed")
            },
            "items": [
                {
                    "name": Path(item.name).name,
                    "state": item.state,
                    "output": item.output and (Path(item.output).name if self.download else item.output),
                    "seconds": item.seconds,
                    "warnings": item.warnings,
                    "error": item.error,
                }
                for item in self.items
            ],
        }


class Runs:
    """The queue of runs and its worker thread.

    Args:
        enlarger: upscales the photos.
        folder: folder for results for download, with a subfolder per run.
    """

    def __init__(self, enlarger: Enlarger, folder: Path) -> None:
        self._enlarger, self._folder = enlarger, folder
        self._runs: dict[str, Run] = {}
        self._queue: queue.Queue[Run | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="runs", daemon=True)
        self._thread.start()

    def all(self) -> list[Run]:
        """All runs, newest first."""
        return list(reversed(self._runs.values()))

    def get(self, key: str) -> Run:
        """The run with a key. Raises GramganError if it is unknown."""
        if key not in self._runs:
            raise GramganError("There is no such run.", "Start it again.")
        return self._runs[key]

    def start(self, title: str, inputs: Sequence[str], output: Path | None, arguments: UpscaleArguments) -> Run:
        """Queue a run over files on this computer."""
        return self._start(Run(secrets.token_hex(8), title, tuple(inputs), output, arguments, download=False))

    def start_download(self, title: str, upload: Path, arguments: UpscaleArguments) -> Run:
        """Queue a run over an upload, whose result gets its own folder."""
        key = secrets.token_hex(8)
        (self._folder / key).mkdir(parents=True)
        return self._start(Run(key, title, (str(upload),), self._folder / key, arguments, download=True))

    def _start(self, run: Run) -> Run:
        self._runs[run.key] = run
        self._queue.put(run)
        return run

    def cancel(self, key: str) -> None:
        """Cancel a run; finished results are kept."""
        run = self.get(key)
        run.stop.set()
        if run.state == "waiting":
            run.state = "cancelled"

    def close(self) -> None:
        """Cancel all runs, and wait until unfinished files are removed."""
        for run in self._runs.values():
            run.stop.set()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (run := self._queue.get()) is not None:
            if not run.stop.is_set():
                self._do(run)

    def _do(self, run: Run) -> None:
        run.state = "working"

        def on_progress(done: float) -> None:
            if run.stop.is_set():
                raise Cancelled
            run.progress = min(1.0, done / max(1, len(run.items)))

        def on_plan(names: list[str]) -> None:
            run.items = [Item(name) for name in names]

        try:
            results = self._enlarger.files(run.inputs, run.output, run.arguments, on_progress, on_plan)
            for item, result in zip(run.items, results, strict=True):
                _note(item, result)
            run.state = "done"
            run.progress = 1.0
        except Cancelled:
            run.state = "cancelled"
        except GramganError as error:
            run.state, run.error = "failed", in_plain_words(str(error), OPTIONS)
        except OSError as error:
            run.state, run.error = "failed", f"{error.filename or 'The disk'}: {error.strerror or error}."
        except Exception as error:  # whatever ends one run, the thread must go on with the next
            _log.exception("The run %s failed.", run.title)
            run.state, run.error = "failed", _unexpected(error)


def _unexpected(error: Exception) -> str:
    """One sentence about an error that no part of the program foresaw."""
    if isinstance(error, MemoryError):
        return "The computer ran out of memory: close other programs, or use smaller photos."
    detail = " ".join(str(error).split()).rstrip(".")
    return f"The run stopped at an unexpected error ({type(error).__name__}{detail and ': ' + detail})."


def _note(item: Item, result: Result) -> None:
    item.output, item.seconds = result.output, result.seconds
    item.error = result.error and in_plain_words(result.error, OPTIONS)
    item.warnings = tuple(in_plain_words(warning, OPTIONS) for warning in result.warnings)
    item.state = "failed" if result.error else "skipped" if result.skipped else "done"
