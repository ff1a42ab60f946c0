"""Batch runs on a local Ray cluster of two nodes with one core each, with workers, a node and the driver killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_helpers import command, contents, gramgan, make_archive, report

pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra archive")
pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")]

COUNT, BROKEN = 150, {11, 77, 120}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without cores, and two nodes with one core each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        running.add_node(num_cpus=1)
    yield running
    running.shutdown()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Photos, and their results from the local engine."""
    folder = tmp_path_factory.mktemp("archive")
    make_archive(folder / "in", COUNT, BROKEN, side=72)
    done = gramgan("upscale", folder / "in", "-o", folder / "local", "--engine", "local", "--device", "cpu")
    assert done.returncode == 1
    return folder / "in", contents(folder / "local")


def start(cluster: Any, source: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    call = command("upscale", source, "-o", output, "--engine", "ray", "--address", cluster.address, *options)
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def results(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in output.glob("photo*")}


def worker_processes(output: Path, driver: subprocess.Popen[str]) -> list[int]:
    """Process ids of the workers with a heartbeat; the driver, which has one too, is none."""
    folder = output / ".gramgan-results/_workers"
    names = [path.name for path in folder.glob("*") if not path.name.startswith(".")]  # without unfinished files
    found = [int(name.split("-")[-2]) for name in names]
    return [number for number in found if number != driver.pid and Path(f"/proc/{number}").exists()]


def check(output: Path, expected: dict[str, bytes]) -> None:
    """Check that each result exists once and equals the local engine's, and that records name the broken photos."""
    assert contents(output) == expected
    rows = pq.read_table(output / ".gramgan-results").to_pylist()
    done = [row["input"] for row in rows if row["error"] is None]
    assert len(done) == len(set(done)) == COUNT - len(BROKEN)
    found = report(output)
    assert (found["done"], found["failed"], found["left"]) == (COUNT - len(BROKEN), len(BROKEN), 0)
    assert {int(Path(row["input"]).stem[-4:]) for row in found["failures"]} == BROKEN
    assert not list((output / ".gramgan-results/_leases").iterdir())


def test_killing_a_worker_loses_no_photo(cluster, archive, tmp_path):
    source, expected = archive
    output = tmp_path / "out"
    driver = start(cluster, source, output, "--json")
    wait_until(lambda: len(results(output)) >= 30 and len(worker_processes(output, driver)) == 2, driver)
    os.kill(worker_processes(output, driver)[0], signal.SIGKILL)
    printed, errors = driver.communicate(timeout=400)
    assert driver.returncode == 1, errors
    assert "Traceback" not in errors
    assert json.loads(printed)["counts"]["done"] == COUNT - len(BROKEN)
    check(output, expected)


def test_losing_a_node_and_the_driver_loses_no_photo(cluster, archive, tmp_path):
    source, expected = archive
    output = tmp_path / "out"
    driver = start(cluster, source, output)
    wait_until(lambda: len(results(output)) >= 20, driver)
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
    reached = len(results(output))
    wait_until(lambda: len(results(output)) >= reached + 20, driver)
    driver.kill()
    driver.communicate()
    time.sleep(2)
    stamps = results(output)
    assert len(stamps) < COUNT - len(BROKEN)
    again = start(cluster, source, output)
    _, message = again.communicate(timeout=400)
    assert again.returncode == 1, message
    check(output, expected)
    after = results(output)
    assert all(after[path] == stamp for path, stamp in stamps.items()), "a result was written again"


def test_a_missing_cluster_gives_one_message(tmp_path):
    make_archive(tmp_path / "in", 1)
    call = command("upscale", tmp_path / "in", "-o", tmp_path / "out", "--engine", "ray", "--address", "auto")
    environment = {**os.environ, "RAY_TMPDIR": str(tmp_path)}
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 1
    assert "No Ray cluster answers at auto" in done.stderr
    assert "Traceback" not in done.stderr
