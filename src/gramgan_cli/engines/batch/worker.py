"""One worker of an archive run: claims photos, fetches them, upscales them, stores the results, tells their outcome.

The network runs in the calling thread; fetching the next photos and storing the last results run in threads beside it.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.io.locations import LocalPlace, Place, place
from gramgan_cli.engines.batch.leases import Claim, Claimant, key_of, release
from gramgan_cli.engines.batch.listing import Photo
from gramgan_cli.engines.batch.records import Merged, Row, Work, storable
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.pipeline import upscale_files
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session

AHEAD = 3
"""Photos that are fetched while the network works, and results that may wait to be stored."""

MOST_DEATHS = 3
"""A photo over which so many workers died is given up: it is what kills them. Only the first may have had company."""

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What all workers of a run are told."""

    run: str
    """Name of the run."""
    output: str
    """Folder of results."""
    records: str
    """Folder of records."""
    model: str
    """Name of the model, as records say it."""
    model_sha256: str | None
    options: UpscaleOptions
    described: str
    """The settings that decide how results look, as records say them."""
    speaker: str
    """The run's sign of life."""
    seen: tuple[str, ...] = ()
    """Files of records that were taken into account when the run began."""

    @property
    def work(self) -> Work:
        """What the results are made with."""
        return Work(self.model, self.model_sha256, self.described)


@dataclass
class Outcome:
    """What a worker says of one photo."""

    photo: Photo
    state: Literal["row", "busy", "elsewhere"]
    """A row for the records; or: a living worker of another run has it; or: another run recorded it."""
    row: Row | None = None
    claims: int = 0
    """Claims of the photo that are to be released once the row is safe."""


@dataclass
class _Task:
    """A photo on its way through the worker."""

    photo: Photo
    tries: int = 1
    alone: bool = False
    """Whether nothing else is in work beside it, so that a death is its own."""
    claim: Claim | None = None
    row: Row = field(default_factory=lambda: Row(""))
    job: Job | None = None
    scratch: tempfile.TemporaryDirectory[str] | None = None
    """Where a copy of the photo and its result lie, for photos or results that are elsewhere."""
    state: Literal["ready", "row", "busy", "elsewhere", "later"] = "ready"


class Worker:
    """Upscales photos by the order's settings, in one session; tells ``on_part`` how many went through, in parts."""

    def __init__(
        self, order: Order, session: Session, on_part: Callable[[float], None] = lambda _through: None
    ) -> None:
        self._order, self._session, self._on_part = order, session, on_part
        self._through = 0
        self._output, self._records = place(order.output), place(order.records)
        self._merged, self._reading = Merged(order.seen), threading.Lock()
        self._claimant = Claimant(self._records, order.speaker)
        self._open: dict[Photo, Claim] = {}

    def close(self) -> None:
        """Give up the photos that were begun and not finished; where a result is there, its claim says whose it is."""
        unfinished = [claim for photo, claim in self._open.items() if not (self._output / photo.result).exists()]
        release(self._records, [(claim.key, claim.number) for claim in unfinished])
        self._claimant.close()

    def process(self, photos: Sequence[Photo]) -> Iterator[Outcome]:
        """Work through ``photos``; one outcome for each, as they are finished.

        A photo that fails is tried once more, by itself, after the others; so is one over which a worker died.
        """
        again: list[_Task] = []
        for task in self._pass([_Task(photo) for photo in photos]):
            if task.state == "later" or (task.row.error and task.state == "row" and self._may_retry(task)):
                again.append(task)
            else:
                yield self._outcome(task)
        for task in again:
            tries = task.tries if task.state == "later" else task.tries + 1
            yield from self._alone(_Task(task.photo, tries, True, task.claim))

    def _alone(self, task: _Task) -> Iterator[Outcome]:
        for done in self._pass([task]):
            if done.row.error and done.state == "row" and self._may_retry(done):
                yield from self._alone(_Task(done.photo, done.tries + 1, True, done.claim))
            else:
                yield self._outcome(done)

    @staticmethod
    def _may_retry(task: _Task) -> bool:
        return task.tries < 2 and (task.claim is None or task.claim.deaths < MOST_DEATHS)

    def _outcome(self, task: _Task) -> Outcome:
        claim = self._open.pop(task.photo, None)
        if task.state == "row":
            task.row.tries, task.row.run = task.tries, self._order.run
            return Outcome(task.photo, "row", task.row, claim.number if claim else 0)
        assert task.state in ("busy", "elsewhere")
        if claim is not None:
            release(self._records, [(claim.key, claim.number)])
        return Outcome(task.photo, "busy" if task.state == "busy" else "elsewhere")

    def _pass(self, tasks: Sequence[_Task]) -> Iterator[_Task]:
        """Every task with its row, or with the reason why there is none."""
        working: deque[_Task] = deque()
        settled: deque[_Task] = deque()
        storing: deque[Future[_Task]] = deque()
        with ThreadPoolExecutor(AHEAD, "fetch") as fetchers, ThreadPoolExecutor(AHEAD, "store") as storers:
            begun = _ahead(fetchers, self._begin, tasks)

            def jobs() -> Iterator[Job]:
                for task in begun:
                    if task.job is None:
                        settled.append(task)
                    else:
                        working.append(task)
                        yield task.job

            try:
                before = self._through

                def on_progress(done: float) -> None:
                    self._on_part(before + done)

                for record in upscale_files(jobs(), self._session, self._order.options, on_progress):
                    self._through += 1
                    storing.append(storers.submit(self._finish, working.popleft(), record))
                    while settled:
                        yield settled.popleft()
                    while storing and (storing[0].done() or len(storing) > AHEAD):
                        yield storing.popleft().result()
            except Exception as error:  # of a million photos one may find a fault that nobody knew: the others go on
                settled.extend(_failed(task, error) for task in working)
                settled.extend(task if task.job is None else _failed(task, error) for task in begun)
            for stored in storing:
                yield stored.result()
            yield from settled

    def _begin(self, task: _Task) -> _Task:
        """Claim, look whether the result is there, fetch."""
        photo = task.photo
        task.row = Row(photo.input, settings=self._order.described, device=self._session.device)
        task.row.backend = self._session.backend
        task.row.model, task.row.model_sha256 = self._order.model, self._order.model_sha256
        task.row.tile = self._session.source.tile
        try:
            self._begin_claimed(task)
        except Exception as error:  # as above: nothing about one photo ends the run
            return _failed(task, error)
        return task

    def _begin_claimed(self, task: _Task) -> None:
        photo, result = task.photo, self._output / task.photo.result
        existed = result.exists()
        if task.claim is None:
            task.claim = self._claimant.take(key_of(photo.input), existed)
            if task.claim is None:
                task.state = "busy"
                return
            self._open[photo] = task.claim
        if existed or result.exists():
            self._look_at_existing(task, result)
            if task.state != "ready":
                return
        if task.claim.deaths >= MOST_DEATHS:
            raise GramganError(
                f"{photo.input}: {task.claim.deaths} workers died over it.", "It may need more memory than they have."
            )
        if task.claim.deaths and not task.alone:
            task.state = "later"
            return
        task.job = self._fetched(task)

    def _look_at_existing(self, task: _Task, result: Place) -> None:
        """Something is at the result's place: another run's work, that of a worker that died, or something foreign."""
        photo, claim = task.photo, task.claim
        assert claim is not None
        if self._recorded_elsewhere(photo):
            task.state = "elsewhere"
        elif (claim.deaths or task.tries > 1) and not claim.existed:
            self._adopt(task, result)
        elif self._order.options.skip_existing:
            self._adopt(task, result)
            task.row.model = task.row.model_sha256 = None
        elif not self._order.options.overwrite:
            raise GramganError(
                f"{result.text} exists already.", "Replace it with --overwrite, or pass --skip-existing."
            )

    def _recorded_elsewhere(self, photo: Photo) -> bool:
        """Whether another run has finished the photo, by the same model and settings, since this one began."""
        with self._reading:
            self._merged.read(self._records)
        row = self._merged.by_input.get(storable(photo.input))
        return row is not None and row.error is None and row.work == self._order.work

    def _adopt(self, task: _Task, result: Place) -> None:
        """Record a result that is there already. It was renamed into its place, so it is whole."""
        before, after = place(task.photo.input).read(), result.read()
        for content, text, kind in ((before, task.photo.input, "input"), (after, result.text, "output")):
            frame = open_photo(content, text, self._order.options.allow_truncated).frames[0]
            setattr(task.row, f"{kind}_width", frame.width)
            setattr(task.row, f"{kind}_height", frame.height)
        _note_content(task.row, "input", before)
        _note_content(task.row, "output", after)
        task.row.output, task.state = result.text, "row"

    def _fetched(self, task: _Task) -> Job:
        """The job of a photo; where it or its result is elsewhere, by way of a scratch folder."""
        photo = task.photo
        source, folder = place(photo.input), self._output / photo.folder
        content = source.read()
        _note_content(task.row, "input", content)
        if isinstance(source, LocalPlace) and isinstance(folder, LocalPlace):
            return _job(source.path, folder.path, photo)
        task.scratch = tempfile.TemporaryDirectory(prefix="gramgan-")
        copy = Path(task.scratch.name) / f"photo{source.suffix}"
        if not isinstance(source, LocalPlace):
            copy.write_bytes(content)
        local_source = source.path if isinstance(source, LocalPlace) else copy
        return _job(local_source, folder.path if isinstance(folder, LocalPlace) else copy.parent / "results", photo)

    def _finish(self, task: _Task, record: Result) -> _Task:
        """Turn the upscaler's record into a row; bring the result to its place where it is not there yet."""
        task.state, task.row.error = "row", record.error
        try:
            if record.skipped:
                self._adopt(task, place(record.output or ""))
                task.row.model = task.row.model_sha256 = None
            elif record.error is None:
                self._store(task, record)
        except Exception as error:  # as above
            _failed(task, error)
        self._say_addresses(task)
        if task.scratch is not None:
            with suppress(OSError):
                task.scratch.cleanup()
        return task

    def _store(self, task: _Task, record: Result) -> None:
        row = task.row
        assert record.output is not None
        assert record.input_size is not None
        assert record.output_size is not None
        written = Path(record.output)
        _note_content(row, "output", written.read_bytes())
        target = self._output / task.photo.folder / written.name
        if not isinstance(target, LocalPlace):
            target.put(written, self._order.options.overwrite)
        row.output = target.text
        (row.input_width, row.input_height), (row.output_width, row.output_height) = (
            record.input_size,
            record.output_size,
        )
        row.seconds, row.tile, row.warnings = record.seconds, record.tile, record.warnings
        row.frames, row.backend = record.frames, record.backend

    def _say_addresses(self, task: _Task) -> None:
        """Messages name the photo and its result where they are, not their copies."""
        if task.scratch is None or task.job is None:
            return
        folder = (self._output / task.photo.folder).text
        for copy, address in ((task.job.source, task.photo.input), (task.job.folder, folder)):
            task.row.error = task.row.error and task.row.error.replace(str(copy), address)
            task.row.warnings = [warning.replace(str(copy), address) for warning in task.row.warnings]


def _failed(task: _Task, error: Exception) -> _Task:
    """The task with the failure in its row."""
    task.row.error = str(error) if isinstance(error, GramganError) else f"{task.photo.input}: {error!r}"
    task.row.output, task.state = None, "row"
    return task


def _job(source: Path, folder: Path, photo: Photo) -> Job:
    fixed = folder / (photo.stem + photo.suffix) if photo.named else None
    return Job(source, folder, photo.stem, fixed, photo.suffix)


def _note_content(row: Row, kind: str, content: bytes) -> None:
    setattr(row, f"{kind}_bytes", len(content))
    setattr(row, f"{kind}_sha256", hashlib.sha256(content).hexdigest())


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Any], T], items: Sequence[Any]) -> Iterator[T]:
    """``work`` on every item, in order, a few ahead of what is taken."""
    waiting: deque[Future[T]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
