"""Thousands of mutated pictures: each is upscaled or refused with one message, without a crash, hang or bomb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "helpers" / "photos" / "fuzz_photos.py"


def fuzz(count: int, seed: int, timeout: float) -> dict[str, float]:
    positions = [str(SCRIPT.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(positions)}
    command = [sys.executable, str(SCRIPT), str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    report: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    print(report)
    return report


def check(report: dict[str, float], count: int) -> None:
    assert report["results"] + report["errors"] >= count
    assert report["results"] > count / 20, "mutations so heavy that nothing is decoded test little"
    assert report["errors"] > count / 20
    assert report["peak_mb"] is None or report["peak_mb"] < 1024


def test_a_few_hundred_mutated_pictures():
    check(fuzz(250, seed=1, timeout=300), 250)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_ten_thousand_mutated_pictures(seed):
    check(fuzz(3000, seed, timeout=3000), 3000)
