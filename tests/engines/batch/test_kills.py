"""One to three processes on one folder are killed thirty times; every record's checksum matches its file."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from true_records import assert_records_are_true, put, rows, run
from upscale_helpers import decoded

from gramgan_cli.cli.app import main
from gramgan_cli.core.images.result_mark import read_mark
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import open_session

PHOTOS = 150
KILLS = 30
MODELS = ("nearest", "bicubic", "lanczos")
"""Models used one after the other; each replaces the results of the previous one."""


def _work(folder: Path, model: str, overwrite: bool) -> None:
    run(folder / "in", folder / "out", model=model, overwrite=overwrite)


def _kill_some(folder: Path, model: str, seed: int) -> int:
    """Start one to three processes, kill those still running after a moment, and return how many that were."""
    chance = random.Random(seed)
    context = multiprocessing.get_context("fork")  # fast, since everything is imported already
    processes = [context.Process(target=_work, args=(folder, model, True)) for _ in range(chance.randint(1, 3))]
    for process in processes:
        process.start()
        time.sleep(chance.uniform(0, 0.3))
    time.sleep(chance.uniform(0.1, 1.5))
    killed = 0
    for process in processes:
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        killed += process.exitcode == -signal.SIGKILL
    return killed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="processes are started by forking")
def test_after_thirty_kills_every_record_is_true(tmp_path: Path) -> None:
    for index in range(PHOTOS):
        put(tmp_path / f"in/photo{index:03}.{('png', 'jpg', 'webp', 'tif', 'bmp')[index % 5]}", index, "png")
    killed = tries = 0
    for number, model in enumerate(MODELS):
        while killed < KILLS * (number + 1) // len(MODELS):
            killed += _kill_some(tmp_path, model, tries)
            tries += 1
            assert tries < 10 * KILLS, "the runs end before they can be killed"
            if number == 0 and rows_there(
                tmp_path / "out"
            ):  # later, a kill may come between a new result and its record
                assert_records_are_true(tmp_path / "out")
        run(tmp_path / "in", tmp_path / "out", model=model, overwrite=True)
        assert assert_records_are_true(tmp_path / "out") == PHOTOS
        _assert_all_are_of(tmp_path, model)
    print(f"{killed} kills in {tries} rounds of one to three processes")
    assert not list((tmp_path / "out").rglob("*.part")), "nothing unfinished stays"


def rows_there(output: Path) -> bool:
    return any((output / ".gramgan-results").glob("*.parquet"))


def _assert_all_are_of(folder: Path, model: str) -> None:
    """Assert that all results are of one model, by records, marks and pixels."""
    latest = {row["key"]: row for row in sorted(rows(folder / "out"), key=lambda row: row["finished"])}
    session = open_session(UpscaleOptions(model=model, device="cpu"))
    for row in latest.values():
        assert row["error"] is None
        assert row["model"] == model
        result = folder / "out" / row["output"]
        assert read_mark(result) == session.mark(row["input_sha256"])
    photo, expected = folder / "in/photo000.png", folder / f"expected-{model}"
    run(photo, expected, model=model)
    assert (decoded(expected / "photo000_x4.png") == decoded(folder / "out/photo000_x4.png")).all()


def _command(folder: Path) -> None:
    output = os.open(folder / "message", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = [
        "gramgan",
        "upscale",
        str(folder / "in"),
        "-o",
        str(folder / "out"),
        "--model",
        "bicubic",
        "--overwrite",
    ]
    main()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="processes are started by forking")
def test_a_run_ends_soon_whenever_it_is_terminated(tmp_path: Path) -> None:
    """Terminated once or twice, at any moment, it ends and leaves no unfinished files."""
    for index in range(60):
        put(tmp_path / f"in/photo{index:03}.png", index)
    context, terminated = multiprocessing.get_context("fork"), 0
    for seed in range(20):
        chance = random.Random(seed)
        process = context.Process(target=_command, args=(tmp_path,))
        process.start()
        for _ in range(chance.randint(1, 2)):
            time.sleep(chance.uniform(0.05, 0.8))
            if process.is_alive():
                process.terminate()
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()
            pytest.fail(f"the run of seed {seed} still lived a minute after SIGTERM")
        terminated += process.exitcode != 0
        assert process.exitcode in (0, 130, -signal.SIGTERM), (tmp_path / "message").read_text()
    assert terminated >= 5, "the runs end before they can be terminated"
    run(tmp_path / "in", tmp_path / "out", model="bicubic", overwrite=True)
    assert assert_records_are_true(tmp_path / "out") == 60
    assert not list((tmp_path / "out").rglob("*.part"))
