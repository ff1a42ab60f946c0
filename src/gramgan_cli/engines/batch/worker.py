"""A worker of a batch run: takes leases, fetches photos, upscales them and stores the results.

The network runs in the calling thread; the next photos are fetched and the last results stored in other threads.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.output_format import choose_format
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.result_mark import mark_in
from gramgan_cli.core.io.locations import LocalPath, Location, is_url, locate
from gramgan_cli.engines.batch.leases import Holder, Lease, give_back, key_of, release
from gramgan_cli.engines.batch.records import MadeWith, Merged, Recorded
from gramgan_cli.engines.upscale.opening import modified
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.pipeline import upscale_files
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session

AHEAD = 3
"""Photos fetched ahead of the network, and results that may wait to be stored."""

MOST_DEATHS = 3
"""Deaths of workers after which a photo counts as their cause and fails. After the first, it is in work alone, and no
other photo has a lease then, so that none is blamed for the death."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Options of all workers of a run."""

    run: str
    """Name of the run."""
    records: str
    """Records folder."""
    made_with: MadeWith
    """Model and options that affect results."""
    upscale: UpscaleOptions
    heartbeat: str = ""
    """Owner of the run's heartbeat."""
    seen: tuple[str, ...] = ()
    """Record files that were already read when the run began."""


@dataclass
class Settled:
    """What became of one photo in a worker."""

    job: Job
    state: Literal["done", "busy", "elsewhere"]
    """'done': there is a result to record; 'busy': another run's worker has it; 'elsewhere': another run did it."""
    result: Result | None = None
    leases: int = 0
    """Number of leases of the photo, to be released once the record is on disk."""


@dataclass
class _Task:
    """A photo being processed by the worker."""

    job: Job
    result: Result
    tries: int = 1
    alone: bool = False
    """Whether no other photo is in work, so that a death is caused by this one."""
    lease: Lease | None = None
    deaths: int = 0
    """Deaths of workers that had the photo."""
    local: Job | None = None
    """Job for the pipeline, with local files only."""
    scratch: tempfile.TemporaryDirectory[str] | None = None
    """Folder for local copies of a photo or result at a URL."""
    state: Literal["ready", "done", "busy", "elsewhere", "later"] = "ready"

    @property
    def failed(self) -> bool:
        """Whether it is done and has an error."""
        return self.state == "done" and self.result.error is not None


class Worker:
    """Upscales photos in one session; calls ``on_part`` with the number of photos upscaled, including fractions."""

    def __init__(
        self, options: WorkerOptions, session: Session, on_part: Callable[[float], None] = lambda _through: None
    ) -> None:
        self._options, self._session, self._on_part = options, session, on_part
        self._through = 0
        self._records = locate(options.records)
        self._merged, self._reading = Merged(options.seen), threading.Lock()
        self._holder = Holder(self._records, options.heartbeat, "\n".join(map(str, options.made_with)))
        self._open: dict[Job, Lease] = {}

    def close(self) -> None:
        """Release the leases of unfinished photos. Where a result exists, the lease stays to show whose it is."""
        held = self._open.copy()  # threads that fetch photos may still change it
        unfinished = [lease for job, lease in held.items() if not locate(job.expected).exists()]
        release(self._records, [(lease.key, lease.number) for lease in unfinished])
        self._holder.close()

    def process(self, jobs: Sequence[Job]) -> Iterator[Settled]:
        """Process ``jobs``; yield what became of each, as they are finished.

        A failed photo is retried once, alone, after the others; so is one during which a worker died.
        """
        again: list[_Task] = []
        for task in self._pass([self._task(job) for job in jobs]):
            if task.state == "later" or (task.failed and self._may_retry(task)):
                again.append(task)
            else:
                yield self._settled(task)
        for task in sorted(again, key=lambda task: task.deaths):
            tries = task.tries if task.state == "later" else task.tries + 1
            yield from self._alone(self._task(task.job, tries, True, task.lease))

    def _task(self, job: Job, tries: int = 1, alone: bool = False, lease: Lease | None = None) -> _Task:
        made_with, session = self._options.made_with, self._session
        result = Result(
            job.source,
            model=made_with.model,
            model_sha256=made_with.model_sha256,
            settings=made_with.settings,
            device=session.device,
            backend=session.backend,
            tile=session.source.tile,
        )
        return _Task(job, result, tries, alone, lease)

    def _alone(self, task: _Task) -> Iterator[Settled]:
        for done in self._pass([task]):
            if done.failed and self._may_retry(done):
                yield from self._alone(self._task(done.job, done.tries + 1, True, done.lease))
            else:
                yield self._settled(done)

    @staticmethod
    def _may_retry(task: _Task) -> bool:
        return task.tries < 2 and (task.lease is None or task.lease.deaths < MOST_DEATHS)

    def _settled(self, task: _Task) -> Settled:
        lease = self._open.pop(task.job, None)
        if task.state == "done":
            result = replace(
                task.result, failure=None, tries=task.tries, run=self._options.run, finished=datetime.now(UTC)
            )
            return Settled(task.job, "done", result, lease.number if lease else 0)
        assert task.state in ("busy", "elsewhere")
        if lease is not None:
            release(self._records, [(lease.key, lease.number)])
        return Settled(task.job, "busy" if task.state == "busy" else "elsewhere")

    def _pass(self, tasks: Sequence[_Task]) -> Iterator[_Task]:
        """Process the tasks; yield each with its result or error."""
        working: deque[_Task] = deque()
        settled: deque[_Task] = deque()
        storing: deque[Future[_Task]] = deque()
        with _pool("fetch") as fetchers, _pool("store") as storers:
            begun = _ahead(fetchers, self._begin, tasks)

            def jobs() -> Iterator[Job]:
                for task in begun:
                    if task.local is None:
                        settled.append(task)
                    else:
                        working.append(task)
                        yield task.local

            try:
                before = self._through

                def on_progress(done: float) -> None:
                    self._on_part(before + done)

                for result in upscale_files(jobs(), self._session, self._options.upscale, on_progress):
                    self._through += 1
                    storing.append(storers.submit(self._finish, working.popleft(), result))
                    while settled:
                        yield settled.popleft()
                    while storing and (storing[0].done() or len(storing) > AHEAD):
                        yield storing.popleft().result()
            except Exception as error:  # an unknown fault in one photo must not stop the others
                settled.extend(_failed(task, error) for task in working)
                settled.extend(task if task.local is None else _failed(task, error) for task in begun)
            for stored in storing:
                yield stored.result()
            yield from settled

    def _begin(self, task: _Task) -> _Task:
        """Take the lease, check for an existing result and fetch the photo."""
        try:
            self._begin_leased(task)
        except Exception as error:  # as in _pass
            return _failed(task, error)
        return task

    def _begin_leased(self, task: _Task) -> None:
        existed = _exists(locate(task.job.expected))
        if task.lease is None:
            task.lease = self._holder.take(key_of(task.job.key), existed)
            if task.lease is None:
                task.state = "busy"
                return
            self._open[task.job], task.deaths = task.lease, task.lease.deaths
        content = locate(task.job.source).read()
        task.result.input_modified = None if is_url(task.job.source) else modified(task.job.source)
        task.result.input_bytes, task.result.input_sha256 = len(content), hashlib.sha256(content).hexdigest()
        result = locate(_by_content(task.job, content, self._options.upscale))
        if _exists(result):
            self._look_at_existing(task, result, content)
            if task.state != "ready":
                return
        if task.lease.deaths >= MOST_DEATHS:
            raise GramganError(
                f"{task.job.source}: {task.lease.deaths} workers died while upscaling it.",
                "It may need more memory than the workers have.",
            )
        if task.lease.deaths and not task.alone:
            give_back(self._records, self._open.pop(task.job))
            task.lease, task.state = None, "later"
            return
        self._fetch(task, content)

    def _look_at_existing(self, task: _Task, result: Location, content: bytes) -> None:
        """Handle an existing file at the result's location, of another run, a worker that died or unknown origin."""
        lease, options = task.lease, self._options.upscale
        assert lease is not None
        recorded = self._recorded_meanwhile(task.job)
        if recorded is not None and recorded.input_sha256 == task.result.input_sha256:
            if recorded.made_with == self._options.made_with:
                task.state = "elsewhere"
                return
        elif recorded is not None:
            raise GramganError(
                f"Another run has just written {result.text}, the result of {recorded.source}.",
                "Choose another `output` for one of them.",
            )
        there = result.read()
        mark = mark_in(there)
        own = self._session.mark(task.result.input_sha256 or "")
        unmarked = mark is None and not lease.existed  # for formats without marks, the lease shows whose it is
        began = lease.deaths > 0 or task.tries > 1
        if (mark == own and (began or not options.overwrite)) or (unmarked and began and not task.job.outdated):
            self._adopt(task, result, content, there)
            task.result.skipped = not began
        elif task.job.outdated:
            return
        elif options.skip_existing:
            self._adopt(task, result, content, there)
            task.result.model = task.result.model_sha256 = None
            task.result.skipped = True
            if mark not in (None, own):
                task.result.warnings.append(f"{result.text} already existed{_of_another(mark)}.")
        elif not options.overwrite:
            raise GramganError(f"{result.text} already exists{_of_another(mark)}.", _REPLACE)

    def _recorded_meanwhile(self, job: Job) -> Recorded | None:
        """Successful record of the result that another run has written since this one began, or None."""
        with self._reading:
            self._merged.read(self._records)
        known = self._merged.by_key.get(job.key)
        return known if known is not None and known.error is None else None

    def _adopt(self, task: _Task, location: Location, before: bytes, after: bytes) -> None:
        """Record an existing result. It is complete, since results are renamed into place."""
        lenient = self._options.upscale.allow_truncated
        frame = open_photo(before, task.job.source, lenient).frames[0]
        larger = open_photo(after, location.text, lenient).frames[0]
        result = task.result
        result.input_size, result.output_size = (frame.width, frame.height), (larger.width, larger.height)
        result.output_bytes, result.output_sha256 = len(after), hashlib.sha256(after).hexdigest()
        result.output, task.state = location.text, "done"

    def _fetch(self, task: _Task, content: bytes) -> None:
        """Set the job for the pipeline, with a scratch folder if the photo or its result is at a URL."""
        job = task.job
        if not is_url(job.source) and not is_url(job.folder):
            task.local = job
            return
        task.scratch = tempfile.TemporaryDirectory(prefix="gramgan-")
        copy = Path(task.scratch.name) / f"photo{Path(job.source).suffix}"
        if is_url(job.source):
            copy.write_bytes(content)
        source = str(copy) if is_url(job.source) else job.source
        folder = str(copy.parent / "results") if is_url(job.folder) else job.folder
        task.local = replace(job, source=source, folder=folder)

    def _finish(self, task: _Task, result: Result) -> _Task:
        """Store the result at its location, if it is at a URL, and complete its record."""
        task.state = "done"
        kept = {name: getattr(task.result, name) for name in ("input", "model", "model_sha256", "settings")}
        changed = result.input_modified if not is_url(task.job.source) else None
        task.result = replace(result, **kept, input_modified=changed)
        try:
            if result.skipped:
                location = locate(result.output or "")
                self._adopt(task, location, locate(task.job.source).read(), location.read())
                task.result.model = task.result.model_sha256 = None
            elif result.error is None:
                self._store(task)
        except Exception as error:  # as in _pass
            _failed(task, error)
        self._name_locations(task)
        if task.scratch is not None:
            with suppress(OSError):
                task.scratch.cleanup()
        return task

    def _store(self, task: _Task) -> None:
        assert task.result.output is not None
        written = Path(task.result.output)
        content = written.read_bytes()
        task.result.output_bytes, task.result.output_sha256 = len(content), hashlib.sha256(content).hexdigest()
        target = locate(task.job.folder) / written.name
        if not isinstance(target, LocalPath):
            target.put(written, self._options.upscale.overwrite or task.job.outdated)
        task.result.output = target.text

    def _name_locations(self, task: _Task) -> None:
        """Replace the paths of local copies in messages by the real locations."""
        if task.scratch is None or task.local is None:
            return
        result = task.result
        for copy, location in ((task.local.source, task.job.source), (task.local.folder, task.job.folder)):
            result.error = result.error and result.error.replace(copy, location)
            result.warnings = [warning.replace(copy, location) for warning in result.warnings]


_REPLACE = "Replace it with `overwrite`, or keep it with `skip_existing`."


def _of_another(mark: object) -> str:
    return ", made with another model or options, or from another photo" if mark is not None else ""


def _exists(location: Location) -> bool:
    """Whether there is a non-empty file. A full disk or a lost connection leaves empty ones."""
    if isinstance(location, LocalPath) and location.path.is_file():
        return location.path.stat().st_size > 0
    return location.exists()


def _by_content(job: Job, content: bytes, options: UpscaleOptions) -> str:
    """Path of the result, whose ending can depend on the photo's content."""
    if job.named:
        return job.expected
    try:
        return job.path(choose_format(open_photo(content, job.source, options.allow_truncated), options.format))
    except GramganError:
        return job.expected


def _failed(task: _Task, error: Exception) -> _Task:
    """Record an error in the task's result; return the task."""
    task.result.error = str(error) if isinstance(error, GramganError) else f"{task.job.source}: {error!r}"
    task.result.output, task.state = None, "done"
    return task


@contextmanager
def _pool(name: str) -> Iterator[ThreadPoolExecutor]:
    """Thread pool as a context. On an exception such as Ctrl-C, waiting work is cancelled."""
    pool = ThreadPoolExecutor(AHEAD, name)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Any], T], items: Sequence[Any]) -> Iterator[T]:
    """Yield ``work(item)`` for all items, in order, computed up to ``AHEAD`` items ahead."""
    waiting: deque[Future[T]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
