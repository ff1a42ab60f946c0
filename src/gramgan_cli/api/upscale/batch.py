"""``gramgan_cli.upscale_batch`` and ``batch_report``: runs over folders, lists and URLs that keep records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Literal, Unpack

from gramgan_cli.api.arguments import AnyPath, check_known, listed
from gramgan_cli.api.callbacks import Stopped, ignore, stopping
from gramgan_cli.api.upscale.options import UpscaleArguments, upscale_options
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.batch.report import Report, make_report
from gramgan_cli.engines.batch.run import BatchOptions, Counts, Engine, Run, local_engine
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session, open_session

__all__ = ["BatchResult", "batch_report", "upscale_batch"]


class BatchArguments(UpscaleArguments, total=False):
    """What decides how a batch run works, beside what decides how pictures are upscaled."""

    records: AnyPath
    """Folder of the records, path or URL. By default ``OUTPUT/.gramgan-results``."""
    shard: tuple[int, int]
    """(number, count): the fixed part of the pictures that is done, such as (3, 8)."""
    engine: Literal["local", "ray"]
    """Where photos are upscaled: here, or on a Ray cluster."""
    address: str
    """Ray cluster: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``. By default that of this computer, or a new one."""
    workers: int
    """Workers on Ray. By default as many as fit."""
    cores_per_worker: int
    """CPU cores of each worker on Ray."""


@dataclass(frozen=True)
class BatchResult:
    """How a batch run ended."""

    run: str
    """Its name in the records."""
    records: str
    """The folder of the records."""
    counts: Counts
    """How many photos there are, were done before, are done now, were done by other runs, and failed."""


def upscale_batch(
    inputs: AnyPath | Sequence[AnyPath],
    output: AnyPath,
    *,
    on_result: Callable[[Result], None] = ignore,
    on_progress: Callable[[Counts], None] = ignore,
    on_part: Callable[[float], None] = ignore,
    **arguments: Unpack[BatchArguments],
) -> BatchResult:
    """Enlarge folders, lists and URLs of pictures, and keep records: the same call continues where it was stopped.

    Args:
        inputs: pictures, folders and globs, paths or URLs, or lists of them (.txt, .jsonl, .parquet); or one of them.
        output: folder of the results, path or URL.
        on_result: called with the result of each picture as it comes. An exception that it raises stops the run and
            reaches the caller; what was done is recorded.
        on_progress: called with the counts, after each picture.
        on_part: called with the pictures of this run that went through the network, with fractions; not on Ray.
        **arguments: ``BatchArguments`` and ``UpscaleArguments``; every default is the command's.

    Returns:
        The run's name, its records and its counts. A picture that fails is counted and stops no other.

    Raises:
        GramganError: what is wrong before the first picture, such as results of other options in the same folder.
        UsageError: arguments that contradict each other.
    """
    names = ("records", "shard", "engine", "address", "workers", "cores_per_worker")
    check_known(arguments, BatchArguments)
    upscaling: UpscaleArguments = {key: value for key, value in arguments.items() if key not in names}  # type: ignore[assignment]
    options = BatchOptions(
        inputs=listed(inputs),
        output=fspath(output),
        upscale=upscale_options(upscaling),
        records=fspath(arguments["records"]) if "records" in arguments else None,
        shard=arguments.get("shard", (0, 1)),
        engine=arguments.get("engine", "local"),
    )
    if options.upscale.reference:
        raise UsageError("Batch runs take no reference.", "Pass the pictures to upscale_all.")
    cluster = ClusterOptions(arguments.get("address"), arguments.get("workers"), arguments.get("cores_per_worker", 1))
    cluster.check(options.engine)
    work = Run(options, on_result, on_progress)
    try:
        with engine_for(work, cluster, on_part=stopping(on_part)) as engine:
            counts = work.go(engine)
    except Stopped as stopped:
        raise stopped.cause from None
    return BatchResult(work.name, work.records.text, counts)


def batch_report(manifests: AnyPath | Sequence[AnyPath]) -> Report:
    """Put the records of all runs and shards together.

    Args:
        manifests: folders of results, folders of records, or Parquet files of them, paths or URLs; or one of them.

    Returns:
        How many photos there are, are done and are left, which failed and why, and the models.

    Raises:
        GramganError: something is not there, or holds no records.
    """
    return make_report(listed(manifests))


@dataclass(frozen=True)
class ClusterOptions:
    """What the user says of the Ray cluster."""

    address: str | None = None
    workers: int | None = None
    cores_per_worker: int = 1

    def check(self, engine: str | None) -> None:
        """Raise UsageError where these options would do nothing."""
        if engine != "ray" and self != ClusterOptions():
            raise UsageError("Address, workers and cores per worker are for Ray.", "Choose the engine ray.")


@contextmanager
def engine_for(
    work: Run,
    cluster: ClusterOptions,
    *,
    on_session: Callable[[Session], None] = ignore,
    on_part: Callable[[float], None] = ignore,
) -> Iterator[Engine | None]:
    """What a run works with, for as long as the block lasts; None where nothing is missing.

    Args:
        work: the run; its options say which engine.
        cluster: of Ray.
        on_session: called with the loaded model, where it runs in this process.
        on_part: called with the pictures that went through the network in this process, with fractions.
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
