"""``gramgan_cli.upscale_batch`` and ``batch_report``: batch runs over folders, lists and URLs, with records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Unpack

from gramgan_cli.api.arguments import AnyPath, check_known, listed
from gramgan_cli.api.callbacks import Stopped, ignore, stopping
from gramgan_cli.api.upscale.options import UpscaleArguments, upscale_options
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.batch.report import Report, make_report
from gramgan_cli.engines.batch.run import BatchOptions, Counts, Engine, EngineChoice, Run, local_engine
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session, open_session

__all__ = ["BatchResult", "batch_report", "upscale_batch"]


class BatchArguments(UpscaleArguments, total=False):
    """Keyword arguments of ``upscale_batch``, besides those of ``upscale``."""

    records: AnyPath
    """Folder of the records, path or URL; ``OUTPUT/.gramgan-results`` by default."""
    shard: tuple[int, int]
    """(number, count): upscale only this fixed part of the pictures, such as (3, 8)."""
    engine: EngineChoice
    """Where photos are upscaled: in this process or on a Ray cluster."""
    address: str
    """Ray cluster: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``; by default this computer's, or a new one."""
    workers: int
    """Number of Ray workers; as many as fit by default."""
    cores_per_worker: int
    """CPU cores per Ray worker."""


@dataclass(frozen=True)
class BatchResult:
    """Result of a batch run."""

    run: str
    """Name of the run in the records."""
    records: str
    """Folder of the records."""
    counts: Counts
    """Numbers of photos: in total, done before, done now, done by other runs, and failed."""


def upscale_batch(
    inputs: AnyPath | Sequence[AnyPath],
    output: AnyPath,
    *,
    on_result: Callable[[Result], None] = ignore,
    on_progress: Callable[[Counts], None] = ignore,
    on_part: Callable[[float], None] = ignore,
    **arguments: Unpack[BatchArguments],
) -> BatchResult:
    """Upscale folders, lists and URLs of pictures with records, so that the same call resumes a stopped run.

    Args:
        inputs: one or several pictures, folders or globs, as paths or URLs, or lists of them (.txt, .jsonl, .parquet).
        output: folder of the results, path or URL.
        on_result: called with each picture's result. An exception that it raises stops the run and reaches the
            caller; finished results are recorded.
        on_progress: called with the counts after each picture.
        on_part: called with the number of pictures upscaled, including the fraction of the current one; not on Ray.
        **arguments: ``BatchArguments`` and ``UpscaleArguments``; defaults are the command's.

    Returns:
        Name, records and counts of the run. A failed picture is counted and does not stop the others.

    Raises:
        GramganError: the run can't start, for example because the folder has results of other options.
        UsageError: arguments contradict each other.
    """
    names = ("records", "shard", "engine", "address", "workers", "cores_per_worker")
    check_known(arguments, BatchArguments)
    shard = arguments.get("shard", (0, 1))
    if not isinstance(shard, tuple | list) or [type(part) for part in shard] != [int, int]:
        raise UsageError(f"`shard` can't be {shard!r}.", "Pass number and count, such as (3, 8).")
    upscaling: UpscaleArguments = {key: value for key, value in arguments.items() if key not in names}  # type: ignore[assignment]
    options = BatchOptions(
        inputs=listed(inputs),
        output=fspath(output),
        upscale=upscale_options(upscaling),
        records=fspath(arguments["records"]) if "records" in arguments else None,
        shard=(shard[0], shard[1]),
        engine=arguments.get("engine", "local"),
    )
    if options.upscale.reference:
        raise UsageError("Batch runs take no reference.", "Pass the photos to upscale_all.")
    cluster = ClusterOptions(
        address=arguments.get("address"),
        workers=arguments.get("workers"),
        cores_per_worker=arguments.get("cores_per_worker", 1),
    )
    cluster.check(options.engine)
    work = Run(options, on_result, on_progress)
    try:
        with engine_for(work, cluster, on_part=stopping(on_part)) as engine:
            counts = work.go(engine)
    except Stopped as stopped:
        raise stopped.cause from None
    return BatchResult(work.name, work.records.text, counts)


def batch_report(manifests: AnyPath | Sequence[AnyPath]) -> Report:
    """Summarise the records of all runs and shards.

    Args:
        manifests: one or several results folders, records folders or Parquet files of records, as paths or URLs.

    Returns:
        Numbers of photos in total, done and left; failures with their errors; and the models.

    Raises:
        GramganError: a location does not exist or has no records.
    """
    return make_report(listed(manifests))


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Options of the Ray cluster."""

    address: str | None = None
    workers: int | None = None
    cores_per_worker: int = 1

    def check(self, engine: str | None) -> None:
        """Raise UsageError if options of Ray are set for another engine."""
        if engine != "ray" and self != ClusterOptions():
            raise UsageError("Address, workers and cores per worker work only with Ray.", "Choose the engine ray.")


@contextmanager
def engine_for(
    work: Run,
    cluster: ClusterOptions,
    *,
    on_session: Callable[[Session], None] = ignore,
    on_part: Callable[[float], None] = ignore,
) -> Iterator[Engine | None]:
    """Context with the engine of a run; None if no pictures are left to do.

    Args:
        work: the run, whose options name the engine.
        cluster: options of the Ray cluster.
        on_session: called with the session if the model runs in this process.
        on_part: called with the number of pictures upscaled in this process, including the current one's fraction.
    """
    if not work.missing:
        yield None
    elif work.options.engine == "ray":
        from gramgan_cli.engines.batch.ray_engine import Cluster, ray_engine

        # Ray prints to standard output, which belongs to the caller.
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            ray_engine(work, Cluster(cluster.address, cluster.workers, cluster.cores_per_worker)) as engine,
        ):
            yield engine
    else:
        session = open_session(work.options.upscale)
        on_session(session)
        yield local_engine(session, on_part)
