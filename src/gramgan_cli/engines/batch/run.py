"""A batch run: finds missing results, has an engine upscale them, and records the results."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.errors import GramganError, check_choice
from gramgan_cli.core.io.files import clear_leftovers
from gramgan_cli.core.io.locations import LocalPath, Location, is_url, locate
from gramgan_cli.engines.batch.done import (
    There,
    difference,
    is_copy,
    is_successor,
    moves_of,
    recorded_results,
    results_in,
    same_photo,
    same_result,
)
from gramgan_cli.engines.batch.leases import FOLDER as LEASES
from gramgan_cli.engines.batch.leases import (
    WORKERS,
    Heartbeat,
    clear_old_heartbeats,
    is_leased,
    key_of,
    leased_keys,
    lives,
)
from gramgan_cli.engines.batch.listing import check_shard, find_photos, of_shard
from gramgan_cli.engines.batch.record_buffer import RecordBuffer
from gramgan_cli.engines.batch.records import (
    FOLDER,
    RUNS,
    MadeWith,
    Merged,
    Recorded,
    RecordWriter,
    Row,
    check_folder,
    note_run,
    noted_runs,
    pyarrow_parquet,
)
from gramgan_cli.engines.batch.weights import look_up
from gramgan_cli.engines.batch.worker import Settled, Worker, WorkerOptions
from gramgan_cli.engines.upscale.inputs import Search
from gramgan_cli.engines.upscale.limits import check_writable
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.plan import Job, Plan, complete, finished_since
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session

CHUNK = 256
"""Photos given to a worker at once; failed ones are retried after the others."""

POLL_SECONDS = 2.0
"""Seconds between checks of photos that another run is working on."""


EngineChoice = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Options of a batch run over folders, lists or URLs, with records."""

    inputs: Sequence[str]
    output: str
    """Results folder, path or URL."""
    upscale: UpscaleOptions
    records: str | None = None
    """Records folder; None means inside the results folder."""
    shard: tuple[int, int] = (0, 1)
    """(number, count): this run does shard ``number`` of ``count``."""
    engine: EngineChoice = "local"

    def __post_init__(self) -> None:
        check_shard(*self.shard)
        check_choice("engine", self.engine, get_args(EngineChoice))


class Engine(Protocol):
    """Distributes photos to workers."""

    def __call__(self, options: WorkerOptions, jobs: Sequence[Job]) -> Iterator[Settled]:
        """Process the jobs; yield what became of each, in any order."""


@dataclass
class Counts:
    """Progress of a run, in photos."""

    photos: int
    """Photos in this run's shard."""
    before: int
    """Photos done by earlier runs."""
    done: int = 0
    elsewhere: int = 0
    """Photos done by other runs meanwhile."""
    failed: int = 0

    @property
    def settled(self) -> int:
        """Photos that are done or failed, in total."""
        return self.before + self.done + self.elsewhere + self.failed


class Run:
    """A batch run.

    Args:
        options: options of the run.
        on_result: called with each photo's result.
        on_progress: called with the counts, at the start and after each photo.

    Raises GramganError if the run can't start.
    """

    def __init__(
        self, options: BatchOptions, on_result: Callable[[Result], None], on_progress: Callable[[Counts], None]
    ) -> None:
        pyarrow_parquet()  # raises here, before the work, if pyarrow is missing
        self.options, self._on_result, self._on_progress = options, on_result, on_progress
        self._began = time.time()
        if options.engine == "local":
            pick_device(options.upscale.device)
        self.weights = look_up(options.upscale.model)
        self.plan = self._planned()
        self.output, self.records, jobs = self._locations(self.plan.jobs)
        mine = of_shard(jobs, *options.shard)
        self._digest = hashlib.sha256("\n".join(sorted(job.below for job in jobs)).encode(errors="surrogateescape"))
        check_folder(self.records)
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
        merged = Merged()
        merged.read(self.records)
        settings = options.upscale.described(self.weights.restoration)
        self.worker_options = WorkerOptions(
            run=self.name,
            records=self.records.text,
            made_with=MadeWith(self.weights.name, self.weights.sha256, settings),
            upscale=options.upscale,
            seen=tuple(merged.seen),
        )
        self._check_same_work(merged, {job.key for job in mine})
        self._check_writable(mine)
        self._sort_out(mine, merged)
        self.counts = Counts(len(mine), len(self.there))
        self._in_all = len(jobs) - sum(is_copy(job, merged.by_key.get(job.key)) for job in jobs)

    def _planned(self) -> Plan:
        """Plan the photos that the inputs name, without results of earlier runs."""
        options, plan = self.options, Plan()
        recorded: set[str] = set()
        target = locate(options.output).text + ("/" if options.output.endswith(("/", os.sep)) else "")
        search = Search(
            options.upscale.recursive,
            target,
            on_unreadable=lambda folder, message: plan.unreadable.append((folder, message)),
            on_foreign=lambda path, kind: plan.foreign.append((path, kind)),
            on_records=lambda folder: recorded.update(recorded_results(locate(folder))),
        )
        found = list({one.source: one for one in find_photos(options.inputs, search)}.values())
        complete(plan, found, target, options.upscale, self.weights, recorded.__contains__)
        return plan

    def _locations(self, jobs: list[Job]) -> tuple[Location, Location, list[Job]]:
        """Results folder, records folder and jobs. If records lie outside the results folder, keys are full paths."""
        output = locate(self.options.output)
        if jobs and jobs[0].named:
            output = locate(jobs[0].folder)
        records = locate(self.options.records) if self.options.records else output / FOLDER
        self._below: Location | None = None
        if records.parts[: len(output.parts)] == output.parts:
            self._below = output
            return output, records, jobs
        return output, records, [replace(job, key=(output / job.key).text) for job in jobs]

    def _sort_out(self, jobs: Sequence[Job], merged: Merged) -> None:
        """Sort the photos into done, missing (new, failed or replaced since their result) and conflicting ones."""
        results = results_in(self.output) if merged.by_key else {}
        stopped, others = self._noted()
        self.missing, self.there, self._conflicts = list[Job](), list[tuple[Job, str]](), list[Result]()
        unchanged = {job for job in jobs if (known := merged.by_key.get(job.key)) and same_photo(job, known)}
        moves = moves_of(jobs, merged.by_key, unchanged)
        for job in jobs:
            known = merged.by_key.get(job.key)
            if known is None or known.error is not None or known.output is None:
                self.missing.append(job)
                continue
            output = (self.output / known.output).text if self._below else known.output
            own = job in unchanged
            if not own and known.run in others:
                self._conflict(job, f"Another run is creating {output} from {known.source}. Choose another `output`.")
                continue
            there = results.get(output)
            if own and there is not None and self._is_done(known, output, there, stopped):
                self.there.append((job, output))
                continue
            outdated = not own and known.made_with.model is not None and is_successor(job, known, moves)
            if not own and not outdated and there is not None and there.size and self.options.upscale.skip_existing:
                # Otherwise the worker refuses and records it.
                self._conflict(
                    job, f"{output} already exists: it is the result of {known.source}. Choose another `output`."
                )
            else:
                self.missing.append(replace(job, outdated=outdated))
        dangerous = leased_keys(self.records)
        # Photos that workers may have died of come last, so that everything else is done if it happens again.
        self.missing.sort(key=lambda job: dangerous[key_of(job.key)] if dangerous else 0)

    def _conflict(self, job: Job, error: str) -> None:
        self._conflicts.append(Result(job.source, error=error, run=self.name))

    def _is_done(self, known: Recorded, output: str, there: There, stopped: set[str]) -> bool:
        """Whether a result needs no work. With overwrite, only results of a stopped overwriting run count as done."""
        if not there.size or not same_result(output, known, there):
            return False
        options, made_with = self.options.upscale, self.worker_options.made_with
        if options.overwrite and known.run not in stopped:
            return False
        return known.made_with == made_with or (known.made_with.model is None and options.skip_existing)

    def _noted(self) -> tuple[set[str], set[str]]:
        """Overwriting runs of this shard that were stopped since the last one that ended; and runs still going on."""
        stopped: set[str] = set()
        going_on: set[str] = set()
        for run in noted_runs(self.records):
            if run.get("overwrite") and run["shard"] == "{}/{}".format(*self.options.shard):
                stopped = set() if run.get("ended") else stopped | {run["run"]}
            if not run.get("ended") and lives(self.records, str(run.get("heartbeat", ""))):
                going_on.add(run["run"])
        return stopped, going_on

    def _check_same_work(self, merged: Merged, keys: set[str]) -> None:
        """Raise GramganError if there are results of another model or options and the user did not say what to do."""
        if self.options.upscale.overwrite or self.options.upscale.skip_existing:
            return
        wanted = self.worker_options.made_with
        for key, row in merged.by_key.items():
            if row.error is None and row.made_with.model is not None and row.made_with != wanted and key in keys:
                raise GramganError(
                    f"{self.output.text} contains results {difference(row.made_with, wanted)}.",
                    "Use the options of that run, choose another `output`, keep its results with `skip_existing`, or "
                    "replace them with `overwrite`.",
                )

    def _check_writable(self, jobs: Sequence[Job]) -> None:
        """Check that results and records can be written. Raises GramganError before any work."""
        for folder in sorted({job.folder for job in jobs if not is_url(job.folder)}):
            check_writable(Path(folder))
        probe = f"_probe-{self.name}"
        (self.records / probe).write(b"")
        self.records.remove([probe])
        clear_old_heartbeats(self.records)

    def go(self, engine: Engine | None) -> Counts:
        """Upscale the missing photos; ``engine`` is None if there are none.

        However the run ends, all results received from workers are recorded.
        """
        heartbeat = Heartbeat(self.records)
        facts = {**self._facts(), "heartbeat": heartbeat.owner}
        note_run(self.records, self.name, facts)
        options = replace(self.worker_options, heartbeat=heartbeat.owner)
        recording = RecordBuffer(RecordWriter(self.records, self.name), self.records)
        try:
            for result in [*self._conflicts, *self._unreadable()]:
                self.counts.failed += 1
                self._on_result(result)
            self._on_progress(self.counts)
            waiting, held = self.missing, list[Job]()
            while waiting and engine is not None:
                for settled in engine(options, waiting):
                    if settled.state == "busy":
                        held.append(settled.job)
                    else:
                        self._settle(settled, recording)
                recording.flush()
                waiting, held = self._freed(held)
        finally:
            recording.close()
            heartbeat.close()
        self._clear_leftovers()
        note_run(self.records, self.name, {**facts, "ended": datetime.now(UTC).isoformat()})
        return self.counts

    def finished(self) -> int:
        """Number of photos with a result: as counted, or as found on disk if that is more."""
        began = self._began if self.options.upscale.overwrite else None
        return max(self.counts.before + self.counts.done, len(self.there) + finished_since(self.missing, began))

    def _unreadable(self) -> list[Result]:
        """A failed result for each unreadable subfolder."""
        return [replace(result, run=self.name) for result in self.plan.failures()]

    def _clear_leftovers(self) -> None:
        """Delete unfinished files of workers that died during the run."""
        for folder in {job.folder for job in self.missing if not is_url(job.folder)}:
            clear_leftovers(Path(folder))
        if isinstance(self.records, LocalPath):
            for name in ("", RUNS, LEASES, WORKERS):
                clear_leftovers(self.records.path / name)

    def _settle(self, settled: Settled, recording: RecordBuffer) -> None:
        if settled.result is None:
            self.counts.elsewhere += 1
        else:
            row = Row(settled.job, settled.result, self._relative(settled.result.output))
            recording.add(row, (key_of(settled.job.key), settled.leases))
            if settled.result.done:
                self.counts.done += 1
            else:
                self.counts.failed += 1
            self._on_result(settled.result)
        self._on_progress(self.counts)

    def _relative(self, output: str | None) -> str | None:
        """Path of a result for the records: relative to the results folder if the records lie inside it."""
        if output is None or self._below is None:
            return output
        return "/".join(locate(output).parts[len(self._below.parts) :])

    def _freed(self, held: Sequence[Job]) -> tuple[list[Job], list[Job]]:
        """Wait until other runs finish or give up some of the held photos; return the freed and the remaining ones.

        Workers then find finished photos recorded, and upscale the others.
        """
        while held:
            taken = {job for job in held if is_leased(self.records, key_of(job.key))}
            if len(taken) < len(held):
                return [job for job in held if job not in taken], [job for job in held if job in taken]
            time.sleep(POLL_SECONDS)
        return [], []

    def _facts(self) -> dict[str, Any]:
        options = self.options
        return {
            "run": self.name,
            "photos": self._in_all,
            "digest": self._digest.hexdigest(),
            "shard": "{}/{}".format(*options.shard),
            "inputs": [locate(text).text for text in options.inputs],  # in normalised form
            "output": "" if self._below else self.output.text,
            "model": self.weights.name,
            "model_sha256": self.weights.sha256,
            "settings": self.worker_options.made_with.settings,
            "overwrite": options.upscale.overwrite,
            "engine": options.engine,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }


def local_engine(session: Session, on_part: Callable[[float], None] = lambda _through: None) -> Engine:
    """Engine in this process, one photo at a time. ``on_part`` gets the number of photos upscaled, with fractions."""

    def settled(options: WorkerOptions, jobs: Sequence[Job]) -> Iterator[Settled]:
        worker = Worker(options, session, on_part)
        try:
            for first in range(0, len(jobs), CHUNK):
                yield from worker.process(jobs[first : first + CHUNK])
        finally:
            worker.close()

    return settled
