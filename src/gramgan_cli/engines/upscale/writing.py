"""Writing results: bands go to an encoder in a thread of its own, and a file appears when it is whole."""

from __future__ import annotations

import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.output_format import Target
from gramgan_cli.core.images.write import encode
from gramgan_cli.core.io.files import replacing
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.limits import BANDS_AHEAD

Array = NDArray[Any]


class _Aborted(Exception):
    """Ends the encoder of a picture that failed elsewhere."""


LONGEST_WAIT = 20.0
"""Seconds that an encoder has to give up when a run is stopped."""

FRAME_END = object()
"""What is put after a frame's last band."""


class Writing:
    """One result on its way into its file, in the writing thread, fed with bands."""

    def __init__(self, target: Target, path: Path, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        self._stop = stop
        self._bands: queue.Queue[Any] = queue.Queue(BANDS_AHEAD)
        self._target, self._path = target, path
        self.started = time.perf_counter()
        self.ended = 0.0
        self._future: Future[None] | None = pool.submit(self._write)

    @classmethod
    def nothing(cls) -> Writing:
        """What stands in for a picture that is not written."""
        made = cls.__new__(cls)
        made._future = None
        return made

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self._future is None or self._future.done()

    def put(self, item: object) -> None:
        """Hand a band (or a frame's end) over; raises what made the encoder fail."""
        assert self._future is not None
        while True:
            if self._future.done():
                self._future.result()
            try:
                return self._bands.put(item, timeout=0.2)
            except queue.Full:
                continue

    def abort(self) -> None:
        """Make the encoder give up; its temporary file goes. An encoder that is busy is waited for a while."""
        if self._future is None or self._future.cancel():
            return
        until = time.monotonic() + LONGEST_WAIT
        while not self._future.done() and time.monotonic() < until:
            with suppress(queue.Full):
                self._bands.put(_Aborted(), timeout=0.2)

    def result(self) -> float:
        """Wait for the file; seconds from decoded input to encoded output. Raises what made the encoder fail."""
        assert self._future is not None
        self._future.result()
        return self.ended - self.started

    def _frames(self) -> Iterator[Iterator[Array]]:
        for _ in self._target.frames:
            yield self._one_frame()

    def _one_frame(self) -> Iterator[Array]:
        while (item := self._next()) is not FRAME_END:
            if isinstance(item, _Aborted):
                raise item
            yield item

    def _next(self) -> Any:
        """What comes next from the network; nothing will where the run has stopped."""
        while True:
            try:
                return self._bands.get(timeout=0.2)
            except queue.Empty:
                if self._stop.is_set():
                    return _Aborted()

    def _write(self) -> None:
        if str(self._path) == STANDARD:
            with tempfile.TemporaryFile() as file:
                self._encode(cast(BinaryIO, file))
                file.seek(0)
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        else:
            with replacing(self._path) as temporary, temporary.open("wb") as file:
                self._encode(file)
        self.ended = time.perf_counter()

    def _encode(self, file: BinaryIO) -> None:
        """Encode the picture; encoders raise what they like for what they can't write."""
        try:
            encode(self._target, self._frames(), file)
        except (GramganError, OSError, _Aborted):
            raise
        except Exception as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
            raise GramganError(
                f"Can't write {self._path} as {self._target.format.label} ({reason}).", "Choose another --format."
            ) from error
