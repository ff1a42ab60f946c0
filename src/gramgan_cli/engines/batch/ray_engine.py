"""The engine that spreads a run over a Ray cluster: workers are actors of Ray Data, which load the weights once.

Only names of photos and their records travel through Ray; pictures go from their location to the worker and from
there to their result's, so Ray's memory stays flat whatever their number. Ray starts actors anew that died and
repeats what they had in work; leases see to it that nothing is written twice.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from gramgan_cli.core.errors import GramganError, MissingExtra, UsageError
from gramgan_cli.core.io.locations import Location, locate
from gramgan_cli.engines.batch.run import CHUNK, Engine, Run
from gramgan_cli.engines.batch.weights import Weights
from gramgan_cli.engines.batch.worker import Settled, Worker, WorkerOptions
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.session import open_session

FEWEST_PER_TASK = 16
"""Photos of one task, where there are enough: the start of a task costs some milliseconds."""

TASKS_PER_WORKER = 8
"""At least so many tasks for each worker, so that none is idle for long at the end."""

MOST_TASKS = 20_000
"""Tasks of one run; more slow Ray's own bookkeeping down. More photos have larger tasks, of ``CHUNK`` at most."""

MODELS = "_models"
"""Folder inside the folder of records with the weights that workers load."""


@dataclass(frozen=True)
class Cluster:
    """What the user says of the cluster."""

    address: str | None
    """As ``ray.init`` takes it; None: the one of this computer if it runs one, else one of our own."""
    workers: int | None
    """None: as many as there is room for."""
    cores: int
    """CPU cores per worker."""


class _Actor:
    """A worker behind the interface of Ray Data."""

    def __init__(self, options: WorkerOptions, weights: str | None, upscale: UpscaleOptions, cores: int) -> None:
        import torch

        torch.set_num_threads(cores)
        with tempfile.TemporaryDirectory() as folder:
            if weights is not None:
                path = Path(folder) / "weights.safetensors"
                path.write_bytes(locate(weights).read())
                upscale = replace(upscale, model=str(path))
            name = options.made_with.model or upscale.model
            self._worker = Worker(options, replace(open_session(upscale), name=name))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """{"job": [Job, ...]} -> {"settled": [Settled, ...]}."""
        import numpy as np

        settled = list(self._worker.process(list(batch["job"])))
        column = np.empty(len(settled), dtype=object)
        column[:] = settled
        return {"settled": column}


@contextmanager
def ray_engine(run: Run, cluster: Cluster) -> Iterator[Engine]:
    """Connect to the cluster, or start one here, for as long as the block lasts.

    Raises GramganError where there is none, or no room for a worker.
    """
    ray = _ray(cluster.address)
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, cluster.address)
    try:
        yield _engine(ray, run, cluster)
    finally:
        if ours:
            ray.shutdown()


def _engine(ray: Any, run: Run, cluster: Cluster) -> Engine:
    upscale, weights = run.options.upscale, run.weights
    resources = ray.cluster_resources()
    on_gpus = _wants_gpus(upscale.device, weights, resources)
    needs: dict[str, Any] = {"num_cpus": cluster.cores}
    room = int(resources.get("CPU", 0)) // cluster.cores
    if on_gpus:
        room, needs["num_gpus"] = int(resources["GPU"]), 1
    workers = cluster.workers or room
    if not workers:
        raise GramganError(
            f"The Ray cluster has {resources.get('CPU', 0):g} CPUs, too few for a worker of {cluster.cores}.",
            "Set --cores-per-worker.",
        )
    if upscale.max_memory:
        needs["memory"] = upscale.max_memory
    upscale = replace(upscale, device="auto" if on_gpus else "cpu")
    if weights.content is None:
        open_session(upscale)  # says here, not in every worker, which options it does not take
    shipped = _shipped(run.records, weights)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = False
    context.max_consecutive_actor_init_deaths = 3

    def settled(options: WorkerOptions, jobs: Sequence[Job]) -> Iterator[Settled]:
        tasks = _task_count(len(jobs), workers)
        dataset = ray.data.from_items([{"job": job} for job in jobs], override_num_blocks=tasks).map_batches(
            _Actor,
            batch_size=None,
            fn_constructor_args=(options, shipped, upscale, cluster.cores),
            compute=ray.data.ActorPoolStrategy(size=min(workers, tasks), max_tasks_in_flight_per_actor=2),
            **needs,
        )
        try:
            for batch in dataset.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
                yield from batch["settled"]
        except ray.exceptions.RayError as error:
            raise GramganError(f"The Ray cluster gave up: {_last_line(error)}.", "Ray's own logs say more.") from error

    return settled


def _shipped(records: Location, weights: Weights) -> str | None:
    """Put the weights where all workers find them: nodes need no model store, and all work with the very same file."""
    if weights.content is None:
        return None
    where = records / f"{MODELS}/{weights.sha256}.safetensors"
    if not where.exists():
        where.write(weights.content)
    return where.text


def _ray(address: str | None) -> Any:
    # Where we start the cluster it sends no usage reports, and leaves CUDA_VISIBLE_DEVICES alone. Its C++ parts print
    # to the terminal; all that matters of it comes as exceptions.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if address is not None and _is_here(address) and (Path.home() / ".ray" / "auth_token").is_file():
        # A cluster of this computer asks for the user's token; Ray itself shows it only where no address is named.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("Ray is not installed.", "ray") from error
    return ray


def _is_here(address: str) -> bool:
    """Whether a cluster's address is one of this computer."""
    host = address.rpartition("://")[2].rpartition(":")[0]
    try:
        return host in ("localhost", "127.0.0.1", socket.gethostname(), socket.gethostbyname(socket.gethostname()))
    except OSError:
        return False


def _connect(ray: Any, address: str | None) -> None:
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address is None and "RAY_ADDRESS" not in os.environ:
            _join_or_start(ray, quiet)
        else:
            ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = address or "this computer"
        hint = "Check --address; a cluster with a token needs RAY_AUTH_MODE=token."
        raise GramganError(f"No Ray cluster answers at {where}: {_last_line(error)}.", hint) from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _join_or_start(ray: Any, quiet: Mapping[str, Any]) -> None:
    """Join the cluster that this computer runs, or start one that lasts as long as the run.

    Ray would write a token for the latter into the home folder: it gets one of its own through the environment.
    """
    try:
        ray.init("auto", **quiet)
    except ConnectionError:
        if not (Path.home() / ".ray" / "auth_token").is_file() and "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Without a dashboard its process has one duty left, usage reports. It asks the cloud's metadata server where it
        # runs even where reports are off, and no option keeps it from starting.
        with mock.patch.object(ray._private.services, "start_api_server", return_value=("", None)):
            ray.init("local", **quiet)


def _wants_gpus(device: str, weights: Weights, resources: Mapping[str, float]) -> bool:
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"--engine ray hands out GPUs itself and takes no --device {device}.", "Use auto, cpu or cuda."
        )
    gpus = resources.get("GPU", 0)
    if device == "cuda" and not gpus:
        raise UsageError("The Ray cluster has no GPU.", "Use --device cpu.")
    return device != "cpu" and weights.header is not None and gpus >= 1


def _task_count(photos: int, workers: int) -> int:
    """Into how many tasks the photos are cut."""
    size = max(min(FEWEST_PER_TASK, -(-photos // (TASKS_PER_WORKER * workers))), -(-photos // MOST_TASKS))
    return -(-photos // min(CHUNK, size))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
