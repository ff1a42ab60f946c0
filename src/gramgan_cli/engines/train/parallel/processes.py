"""Starting, joining and leaving the processes of one training run (``--gpus``, torchrun, or a single one)."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.engines.train.options import TrainResult
from gramgan_cli.engines.train.parallel.group import Group, TorchGroup

CPU_INSTEAD = (
    "Leave out `gpus` to train on the CPU; recipe gramgan-compact suits it: "
    "gramgan train --recipe gramgan-compact --hr-dir DIR"
)

STOPPED = "stopped"
"""File in which the first process records the step at which it stopped and the path of its weights."""


def is_worker() -> bool:
    """Whether an elastic launcher (ours or torchrun) started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def parse_gpus(text: str) -> tuple[int, ...]:
    """Parse ``0,1`` into device numbers. Raises UsageError for a GPU that does not exist, listing those that do."""
    try:
        gpus = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"`gpus` must be numbers separated by commas, like 0,1, not '{text}'.") from None
    if len(set(gpus)) != len(gpus):
        raise UsageError(f"`gpus` has a GPU twice: {text}.")
    there = torch.cuda.device_count()
    missing = [str(gpu) for gpu in gpus if not 0 <= gpu < there]
    if missing:
        have = ", ".join(f"{i} ({torch.cuda.get_device_name(i)})" for i in range(there)) or "none"
        instead = f"Choose from these: `gpus` {','.join(map(str, range(there)))}" if there else CPU_INSTEAD
        raise UsageError(f"There is no GPU {', '.join(missing)} on this computer (available: {have}).", instead)
    return gpus


def join(gpus: tuple[int, ...], device: str) -> tuple[Group, torch.device]:
    """Group and device of this process. Without a launcher the process forms a group of its own."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Group(), torch.device("cuda", gpus[0]) if gpus else pick_device(device)
    local = int(os.environ["LOCAL_RANK"])
    if gpus:
        where = torch.device("cuda", gpus[local])
    else:
        where = pick_device(device)
        where = torch.device("cuda", local) if where.type == "cuda" else where
    if where.type == "cuda":
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    return TorchGroup(), where


def leave() -> None:
    """Leave the process group, if this process is in one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _work(work: Callable[[], TrainResult], messages: Path) -> TrainResult:
    """Train in one process of ``--gpus``; write an error's message, or the step reached, to a file for the parent."""
    try:
        result = work()
    except GramganError as error:
        (messages / os.environ["RANK"]).write_text(str(error), encoding="utf-8")
        raise
    if not result.finished and os.environ["RANK"] == "0":
        (messages / STOPPED).write_text(json.dumps([result.steps, str(result.weights)]), encoding="utf-8")
    return result


def start(count: int, work: Callable[[], TrainResult]) -> TrainResult:
    """Run ``work`` in ``count`` processes through torch's elastic launcher and wait for them.

    The launcher passes a terminating signal on to the processes, which save and write the step reached.

    Args:
        count: number of processes.
        work: function that each process calls; must be picklable.

    Returns:
        The first process's result.

    Raises:
        GramganError: a process failed; carries that process's own message if it wrote one.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            results = elastic_launch(config, _work)(work, Path(folder))
        except SignalException as error:
            if not (Path(folder) / STOPPED).is_file():
                raise KeyboardInterrupt from error
            steps, weights = json.loads((Path(folder) / STOPPED).read_text(encoding="utf-8"))
            return TrainResult(steps, False, Path(weights))
        except ChildFailedError as error:
            messages = sorted(file for file in Path(folder).iterdir() if file.name != STOPPED)
            if messages:
                raise GramganError(messages[0].read_text(encoding="utf-8")) from error
            raise GramganError(f"A training process failed: {error}") from error
    result: TrainResult = results[0]
    return result
