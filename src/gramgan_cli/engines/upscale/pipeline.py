"""Upscaling files, with decoding and encoding in threads. A failed picture does not stop the others."""

from __future__ import annotations

import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.floats import float_bands
from gramgan_cli.core.images.nodata import declared_bands
from gramgan_cli.core.images.output_format import Target
from gramgan_cli.core.images.photo import Frame
from gramgan_cli.core.images.write import encode
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.resize.matlab import Border
from gramgan_cli.core.resize.rows import resized_bands
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.limits import BANDS_AHEAD, TOO_LARGE
from gramgan_cli.engines.upscale.opening import Opened, open_job
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import BandSource, Session
from gramgan_cli.engines.upscale.upscaler import AutomaticUpscaler, Interpolator

Array = NDArray[Any]


def upscale_files(
    jobs: Iterable[Job],
    session: Session,
    options: UpscaleOptions,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> Iterator[Result]:
    """Upscale all jobs; yield a result for each, in order, as it is finished.

    Args:
        jobs: from ``plan_jobs`` or a batch run; consumed lazily, at most two ahead of the network.
        session: from ``open_session``.
        options: applied to all jobs.
        on_progress: called with the number of pictures done, including the fraction of the current one.
    """
    finishing: deque[tuple[Opened, _Writing]] = deque()
    ahead = _ahead(options)
    stop = threading.Event()
    readers, writers = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
    try:
        for number, opened in enumerate(_opened_ahead(jobs, session, options, readers, stop)):
            if opened.target is not None and opened.path is not None and opened.result.error is None:
                writing = _Writing(opened.target, opened.path, writers, stop)
                finishing.append((opened, writing))
                _run(opened, session, options, writing, lambda part, n=number: on_progress(n + part))  # type: ignore[misc]
            else:
                finishing.append((opened, _Writing.nothing()))
            opened.frames = None
            while finishing and (len(finishing) > ahead or finishing[0][1].done):
                yield _finished(*finishing.popleft())
            on_progress(number + 1)
        while finishing:
            yield _finished(*finishing.popleft())
    finally:
        # Runs on success, failure and Ctrl-C alike, so nothing here may wait without a time limit.
        stop.set()
        for _, writing in finishing:
            writing.abort()
        readers.shutdown(wait=False, cancel_futures=True)
        writers.shutdown(wait=False, cancel_futures=True)


def _ahead(options: UpscaleOptions) -> int:
    """Number of pictures read ahead and written behind the current one: 0 if memory is limited."""
    return 1 if options.max_memory is None else 0


def _opened_ahead(
    jobs: Iterable[Job], session: Session, options: UpscaleOptions, readers: ThreadPoolExecutor, stop: threading.Event
) -> Iterator[Opened]:
    """Open pictures in a thread, ahead of the network."""
    waiting: deque[Future[Opened]] = deque()

    def submit(job: Job) -> None:
        if not stop.is_set():
            waiting.append(readers.submit(open_job, job, session, options))

    for job in jobs:
        submit(job)
        if len(waiting) > _ahead(options):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _run(
    opened: Opened, session: Session, options: UpscaleOptions, writing: _Writing, on_part: Callable[[float], None]
) -> None:
    """Run the network on the frames of one picture. Errors are recorded in its result."""
    result, target = opened.result, opened.target
    assert opened.frames is not None
    assert target is not None
    session.source.on_note = result.warnings.append
    source = session.source
    border: Border = "wrap" if options.seamless else "symmetric"
    try:
        if isinstance(source, AutomaticUpscaler) and result.denoise is not None:
            source = source.at(result.denoise)  # the same for all frames
        for index, image in enumerate(opened.frames):
            done = 0
            for band in _final_bands(image, source, target.frames[index], opened.nodata[index], result, border):
                writing.put(band)
                done += len(band)
                on_part((index + min(1.0, done / target.frames[index].height)) / len(target.frames))
            writing.put(FRAME_END)
    except GramganError as error:
        if result.input not in str(error):
            error.message = f"{result.input}: {error.message}"
        result.fail(error)
        writing.abort()
    except OSError as error:
        result.fail(GramganError(f"Can't write {result.output}: {error.strerror or error}."))
        writing.abort()
    except MemoryError:
        result.fail(GramganError(f"{result.input} {TOO_LARGE}"))
        writing.abort()
    except RuntimeError as error:  # torch: a driver or a device failed
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        message = f"{result.input}: the device {session.device} failed ({reason})."
        result.fail(GramganError(message, "Try `device` cpu."))
        writing.abort()
    result.tile = session.source.tile


def _final_bands(
    image: Array, source: BandSource, frame: Frame, declared: float | None, result: Result, border: Border
) -> Iterator[Array]:
    """The network's bands, resized if the result's size is not the model's."""
    size = (frame.height, frame.width)

    def enlarge(picture: Array) -> Iterator[Array]:
        bands, own = source.bands(picture), (picture.shape[0] * source.scale, picture.shape[1] * source.scale)
        return bands if own == size else resized_bands(bands, own, size, border)

    if image.dtype != np.float32:
        return declared_bands(image, enlarge, size, declared, result.warnings.append)
    any_range = isinstance(source, Interpolator)
    return float_bands(image, enlarge, size, declared, any_range, result.warnings.append)


def _finished(opened: Opened, writing: _Writing) -> Result:
    """Wait until the file is written or has failed; return the result."""
    result = opened.result
    if result.error is None and not result.skipped:
        try:
            result.seconds = round(writing.result(), 3)
        except GramganError as error:
            result.fail(error)
        except OSError as error:
            result.fail(GramganError(f"Can't write {result.output}: {error.strerror or error}."))
    if result.error is not None:
        result.output = None
    return replace(result, warnings=list(dict.fromkeys(result.warnings)))


# ---- writing: an encoder thread takes the bands; the file is moved into place once it is complete ------------------


class _Aborted(Exception):
    """Ends the encoder of a picture that failed elsewhere."""


LONGEST_WAIT = 20.0
"""Seconds to wait for an encoder when a run is stopped."""

FRAME_END = object()
"""Marker after the last band of a frame."""


class _Writing:
    """Encodes one result in the writing thread, from bands that ``put`` adds."""

    def __init__(self, target: Target, path: Path, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        self._stop = stop
        self._bands: queue.Queue[Any] = queue.Queue(BANDS_AHEAD)
        self._target, self._path = target, path
        self.started = time.perf_counter()
        self.ended = 0.0
        self._future: Future[None] | None = pool.submit(self._write)

    @classmethod
    def nothing(cls) -> _Writing:
        """Placeholder for a picture that is not written."""
        made = cls.__new__(cls)
        made._future = None
        return made

    @property
    def done(self) -> bool:
        """Whether the file is written or has failed."""
        return self._future is None or self._future.done()

    def put(self, item: object) -> None:
        """Queue a band or ``FRAME_END``. Raises the encoder's exception if it failed."""
        assert self._future is not None
        while True:
            if self._future.done():
                self._future.result()
            try:
                return self._bands.put(item, timeout=0.2)
            except queue.Full:
                continue

    def abort(self) -> None:
        """Stop the encoder, which removes its temporary file. Waits at most ``LONGEST_WAIT`` seconds."""
        if self._future is None or self._future.cancel():
            return
        until = time.monotonic() + LONGEST_WAIT
        while not self._future.done() and time.monotonic() < until:
            with suppress(queue.Full):
                self._bands.put(_Aborted(), timeout=0.2)

    def result(self) -> float:
        """Wait for the file. Returns seconds from decoded input to encoded output; raises the encoder's exception."""
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
        """Next item from the network, or ``_Aborted`` once the run has stopped."""
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
        """Encode the picture. Encoders' exceptions, which can be of any type, become GramganError."""
        try:
            encode(self._target, self._frames(), file)
        except (GramganError, OSError, _Aborted):
            raise
        except Exception as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
            raise GramganError(
                f"Can't write {self._path} as {self._target.format.label} ({reason}).", "Choose another `format`."
            ) from error
