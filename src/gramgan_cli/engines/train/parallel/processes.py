"""Starting, joining and leaving the processes of one training run (``--gpus``, torchrun, or a single one)."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.engines.train.callbacks import Reporter
from gramgan_cli.engines.train.parallel.group import Group, TorchGroup
from gramgan_cli.engines.train.trainer import Outcome

if TYPE_CHECKING:
    from gramgan_cli.engines.train.launch import Order


STOPPED = "stopped"
"""File in which the first process says at which step it was asked to stop, and where its weights are."""


def is_worker() -> bool:
    """Whether an elastic launcher (ours or torchrun) started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def parse_gpus(text: str) -> tuple[int, ...]:
    """``0,1`` as numbers; GPUs that are not there are an error that lists those that are."""
    try:
        gpus = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--gpus takes numbers with commas between, like 0,1, not '{text}'.") from None
    if len(set(gpus)) != len(gpus):
        raise UsageError(f"--gpus names a GPU twice: {text}.")
    there = torch.cuda.device_count()
    missing = [str(gpu) for gpu in gpus if not 0 <= gpu < there]
    if missing:
        have = ", ".join(f"{i} ({torch.cuda.get_device_name(i)})" for i in range(there)) or "none"
        raise UsageError(f"There is no GPU {', '.join(missing)} here (there: {have}).", "Or train with --device cpu.")
    return gpus


def join(gpus: tuple[int, ...], device: str) -> tuple[Group, torch.device]:
    """This process's group and device. A process that no launcher started is a group of its own."""
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
    """Take leave of the other processes, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _work(order: Order, messages: Path, make_reporter: Callable[[], Reporter]) -> Outcome:
    """One process of ``--gpus``: trains, and leaves a known failure's sentence, or how far it came, for the parent."""
    from gramgan_cli.engines.train.launch import train

    try:
        outcome = train(order, make_reporter)
    except GramganError as error:
        (messages / os.environ["RANK"]).write_text(str(error), encoding="utf-8")
        raise
    if not outcome.finished and os.environ["RANK"] == "0":
        (messages / STOPPED).write_text(json.dumps([outcome.steps, str(outcome.weights)]), encoding="utf-8")
    return outcome


def start(order: Order, make_reporter: Callable[[], Reporter]) -> Outcome:
    """Start a process per GPU through torch's elastic launcher and wait for them. The arguments are pickled.

    A signal that ends the launcher is passed on by it to the processes, which save and leave word of it.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=len(order.gpus),
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcomes = elastic_launch(config, _work)(order, Path(folder), make_reporter)
        except SignalException as error:
            if not (Path(folder) / STOPPED).is_file():
                raise KeyboardInterrupt from error
            steps, weights = json.loads((Path(folder) / STOPPED).read_text(encoding="utf-8"))
            return Outcome(steps, False, Path(weights))
        except ChildFailedError as error:
            told = sorted(file for file in Path(folder).iterdir() if file.name != STOPPED)
            if told:
                raise GramganError(told[0].read_text(encoding="utf-8")) from error
            raise GramganError(f"A training process failed: {error}") from error
    outcome: Outcome = outcomes[0]
    return outcome
