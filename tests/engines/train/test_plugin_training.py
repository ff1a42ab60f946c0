"""The example in docs/extending.md: a network and a loss from a file are trained and used; invalid ones refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from train_photos import plain_noise

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A file with the example from the page."""
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    file = tmp_path / "mine.py"
    file.write_text(code, encoding="utf-8")
    return file


def gramgan(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GRAMGAN_BACKEND": "auto"}
    environment.pop("GRAMGAN_PLUGINS", None)
    command = [sys.executable, "-m", "gramgan_cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=check, env=environment)


def test_the_documented_network_and_loss_are_trained_and_used(plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    photos = plain_noise(tmp_path / "hr", 4, 64)
    train = ["--plugin", plugin, "train", "--recipe", "psnr", "--arch", "tiny", "--hr-dir", photos]
    settings = ["--set", "loss.plugins.edges=0.5", "--set", "network.width=8", "--set", "log_every=1"]
    gramgan(*train, *settings, "--steps", 3, "--hr-crop", 32, "--batch-size", 2, "--out", out, "--quiet")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [row["loss.edges"] for row in rows if "loss.edges" in row]
    assert len(losses) == 3
    assert all(0 < value < 1 for value in losses)

    weights = out / "last.safetensors"
    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / "a.png")
    upscale = ["upscale", tmp_path / "a.png", "--model", weights, "--device", "cpu", "-o", tmp_path / "b.png"]
    gramgan("--plugin", plugin, *upscale)
    assert Image.open(tmp_path / "b.png").size == (48, 40)
    without = gramgan(*upscale, "--overwrite", check=False)
    assert without.returncode == 1
    assert "tiny" in without.stderr


@pytest.mark.parametrize(
    ("code", "setting", "message"),
    [
        (None, "loss.plugins.edgse=0.5", "edges"),
        (None, "loss.plugins.edges=-1.0", "loss.plugins.edges"),
        ("losses = {'content': max}", "loss.plugins.content=1.0", "content"),
        ("losses = [1]", "loss.plugins.a=1.0", "losses"),
        ("1 / 0", "loss.plugins.a=1.0", "ZeroDivisionError"),
    ],
)
def test_plugins_that_are_wrong_are_one_sentence(
    plugin: Path, tmp_path: Path, code: str | None, setting: str, message: str
) -> None:
    if code is not None:
        plugin.write_text(code, encoding="utf-8")
    photos = plain_noise(tmp_path / "hr", 4, 64)
    train = ["--plugin", plugin, "train", "--recipe", "psnr", "--arch", "compact", "--hr-dir", photos]
    done = gramgan(*train, "--set", setting, "--out", tmp_path / "run", check=False)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_file_that_is_not_there(tmp_path: Path) -> None:
    done = gramgan("--plugin", tmp_path / "no.py", "models", "list", check=False)
    assert (done.returncode, "no.py" in done.stderr) == (2, True)
