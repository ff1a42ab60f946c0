"""The launch files in docs/scale.md, run unchanged with two local processes instead of two machines."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from batch_helpers import contents, make_archive, report

pytest.importorskip("pyarrow", reason="needs the extra archive")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="shell scripts")]

LAUNCH = Path(__file__).resolve().parents[3] / "examples" / "launch"
TINY = ["--recipe", "psnr", "--arch", "compact", "--device", "cpu", "--set", "network.nf=8", "--set", "network.nc=2"]
TINY += ["--batch-size", "4", "--hr-crop", "32", "--steps", "4", "--threads", "1"]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment with this interpreter's ``gramgan`` and ``torchrun``, and scripts that simulate Slurm."""
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {
        "gramgan": f'exec {sys.executable} -m gramgan_cli "$@"',
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
        "scontrol": 'test "$1 $2" = "show hostnames" && echo localhost',
        "srun": 'SLURM_NODEID=0 "$@" & first=$!; SLURM_NODEID=1 "$@" && wait $first',
    }
    for name, line in scripts.items():
        (tools / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tools / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PORT": str(free_port())}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def steps(run: Path) -> list[int]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if "psnr_y" in row]


def test_torchrun_by_hand(shell, tmp_path):
    make_archive(tmp_path / "photos", 4, side=48)
    call = [LAUNCH / "torchrun.sh", "--hr-dir", tmp_path / "photos", "--out", tmp_path / "run", *TINY]
    processes = [
        subprocess.Popen(call, env={**shell, "NODES": "2", "NODE": str(node), "HEAD": "localhost"}) for node in range(2)
    ]
    assert [machine.wait(timeout=300) for machine in processes] == [0, 0]
    assert steps(tmp_path / "run") == [4]


def test_slurm_training_starts_and_goes_on(shell, tmp_path):
    make_archive(tmp_path / "photos", 4, side=48)
    slurm = {"SLURM_JOB_NODELIST": "node[0-1]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "OUT": str(tmp_path / "run")}
    call = [LAUNCH / "slurm-train.sh", "--hr-dir", tmp_path / "photos", *TINY]
    for _ in range(2):
        done = subprocess.run(call, env={**shell, **slurm}, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert steps(tmp_path / "run")[:1] == [4]
    assert "Resumed from step 4" in done.stderr


def test_slurm_array_upscales_everything_once(shell, tmp_path):
    make_archive(tmp_path / "in", 12, broken={3})
    for task in range(3):
        slurm = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "3"}
        call = [LAUNCH / "slurm-upscale.sh", tmp_path / "in", tmp_path / "out", "--model", "nearest"]
        subprocess.run(call, env={**shell, **slurm}, check=False, timeout=300)
    found = report(tmp_path / "out")
    assert (found["done"], found["failed"], found["left"]) == (11, 1, 0)
    assert len(contents(tmp_path / "out")) == 11


def containers(name: str) -> list[dict]:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    documents = list(yaml.safe_load_all((LAUNCH / name).read_text()))
    return [c for d in documents if d["kind"] == "Job" for c in d["spec"]["template"]["spec"]["containers"]]


def test_kubernetes_job_upscales_its_part(shell, tmp_path):
    make_archive(tmp_path / "in", 400, side=8)
    (container,) = containers("kubernetes-upscale.yaml")
    shards = {"INPUT": str(tmp_path / "in"), "OUTPUT": str(tmp_path / "out"), "JOB_COMPLETION_INDEX": "5"}
    assert {entry["name"] for entry in container["env"]} == {"INPUT", "OUTPUT"}
    done = subprocess.run(
        [*container["command"], *container["args"]], env={**shell, **shards}, check=False, timeout=300
    )
    assert done.returncode == 0
    found = report(tmp_path / "out")
    assert 0 < found["done"] < 20
    assert found["done"] + found["left"] == 400


def test_kubernetes_training(shell, tmp_path):
    make_archive(tmp_path / "photos", 4, side=48)
    (container,) = containers("kubernetes-train.yaml")
    line = container["args"][0].replace("29500", shell["PORT"]).replace('$PHOTOS"', '$PHOTOS" ' + " ".join(TINY))
    named = {"HEAD": "localhost", "GPUS": "1", "PHOTOS": str(tmp_path / "photos"), "OUT": str(tmp_path / "run")}
    pods = [
        subprocess.Popen([*container["command"], line], env={**shell, **named, "JOB_COMPLETION_INDEX": str(index)})
        for index in range(2)
    ]
    assert [pod.wait(timeout=300) for pod in pods] == [0, 0]
    assert steps(tmp_path / "run") == [4]
