"""The commands of the documentation, run as they stand on small pictures: blocks below a line ``<!-- run -->``."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if BLOCK.search(page.read_text(encoding="utf-8"))
]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures that the pages speak of, all small."""
    random = np.random.default_rng(1)

    def photo(name: str, channels: int = 3) -> None:
        pixels = random.integers(0, 256, (20, 24, channels), np.uint8)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)

    for name in ("photo.jpg", "photo.png", "scan.tif", "scan.png", "texture.png", "holiday/1.jpg", "holiday/2.png"):
        photo(name)
    photo("height.png", channels=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_here(line: str) -> None:
    """One command without a shell, in this process: it needs no second start of torch."""
    words = [found for word in shlex.split(line, comments=True) for found in (sorted(glob.glob(word)) or [word])]  # noqa: PTH207
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, (line, result.output, result.exception)


def run_in_shell(line: str, folder: Path) -> None:
    """One command that needs a shell, with ``gramgan`` as a program."""
    program = folder / "bin" / "gramgan"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gramgan_cli "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(line, shell=True, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run_as_they_stand(page: Path, pictures: Path) -> None:
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("gramgan ") and not re.search(r"[|<>&;]", line.partition(" #")[0]):
                run_here(line)
            elif sys.platform != "win32":
                run_in_shell(line, pictures)
