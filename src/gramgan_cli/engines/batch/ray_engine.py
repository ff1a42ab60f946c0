"""Engine that runs a batch on a Ray cluster: workers are Ray Data actors that load the weights once.

Only jobs and records go through Ray. Workers read photos from and write results to their locations, so that Ray's
memory use does not grow with the number of photos. Ray restarts actors that died and repeats their tasks; leases
ensure that nothing is written twice.
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
"""Photos per task, if there are enough, since starting a task takes some milliseconds."""

TASKS_PER_WORKER = 8
"""Least number of tasks per worker, so that workers are not idle for long at the end."""

MOST_TASKS = 20_000
"""Most tasks per run, since more slow Ray down. More photos make larger tasks, up to ``CHUNK``."""

MODELS = "_models"
"""Subfolder of the records folder with the weights that workers load."""


@dataclass(frozen=True)
class Cluster:
    """Options of the cluster."""

    address: str | None
    """Address for ``ray.init``; None means this computer's cluster if it runs one, else a new one."""
    workers: int | None
    """Number of workers; None means as many as fit."""
    cores: int
    """CPU cores per worker."""


class _Actor:
    """A worker with the interface of a Ray Data actor."""

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
        """Process {"job": [Job, ...]}; return {"settled": [Settled, ...]}."""
        import numpy as np

        settled = list(self._worker.process(list(batch["job"])))
        column = np.empty(len(settled), dtype=object)
        column[:] = settled
        return {"settled": column}


@contextmanager
def ray_engine(run: Run, cluster: Cluster) -> Iterator[Engine]:
    """Context that connects to the cluster or starts one on this computer, and yields the engine.

    Raises GramganError if there is no cluster or no room for a worker.
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
            "Set `cores_per_worker`.",
        )
    if upscale.max_memory:
        needs["memory"] = upscale.max_memory
    upscale = replace(upscale, device="auto" if on_gpus else "cpu")
    if weights.content is None:
        open_session(upscale)  # raises for invalid options here instead of in every worker
    shipped = shipped_weights(run.records, weights)
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
            raise GramganError(
                f"The Ray cluster failed: {_last_line(error)}.", "See Ray's own logs for details."
            ) from error

    return settled


def shipped_weights(records: Location, weights: Weights) -> str | None:
    """Write the weights into the records folder, so that all nodes load the same file and need no model store.

    Returns the file, or None if the nodes open the model by its name.
    """
    if weights.content is None:
        return None
    where = records / f"{MODELS}/{weights.sha256}.safetensors"
    if not where.exists():
        where.write(weights.content)
    return where.text


def _ray(address: str | None) -> Any:
    # A cluster started here sends no usage reports and does not change CUDA_VISIBLE_DEVICES. Its C++ parts would print
    # to the terminal; everything that matters also arrives as an exception.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if address is not None and _is_here(address) and (Path.home() / ".ray" / "auth_token").is_file():
        # A cluster on this computer requires the user's token, which Ray sends by itself only if no address is given.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("Ray is not installed.", "ray") from error
    return ray


def _is_here(address: str) -> bool:
    """Whether a cluster's address is on this computer."""
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
        hint = "Check `address`; a cluster with a token needs RAY_AUTH_MODE=token."
        raise GramganError(f"No Ray cluster answers at {where}: {_last_line(error)}.", hint) from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _join_or_start(ray: Any, quiet: Mapping[str, Any]) -> None:
    """Join this computer's cluster, or start one for the run.

    For a new cluster, Ray would write a token into the home folder; it gets one through the environment instead.
    """
    try:
        ray.init("auto", **quiet)
    except ConnectionError:
        if not (Path.home() / ".ray" / "auth_token").is_file() and "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Without a dashboard, the API server only sends usage reports. Even with reports off, it queries the cloud's
        # metadata server, and no option prevents it from starting.
        with mock.patch.object(ray._private.services, "start_api_server", return_value=("", None)):
            ray.init("local", **quiet)


def _wants_gpus(device: str, weights: Weights, resources: Mapping[str, float]) -> bool:
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"`engine` ray assigns GPUs itself and does not support `device` {device}.", "Use auto, cpu or cuda."
        )
    gpus = resources.get("GPU", 0)
    if device == "cuda" and not gpus:
        raise UsageError("The Ray cluster has no GPU.", "Use `device` cpu.")
    return device != "cpu" and weights.header is not None and gpus >= 1


def _task_count(photos: int, workers: int) -> int:
    """Number of tasks that the photos are divided into."""
    size = max(min(FEWEST_PER_TASK, -(-photos // (TASKS_PER_WORKER * workers))), -(-photos // MOST_TASKS))
    return -(-photos // min(CHUNK, size))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
