"""The documentation's commands, run on small pictures.

Blocks below a line ``<!-- run -->`` run unchanged. In other blocks, trainings run with ``--dry-run`` (all checks but
no training), and commands that need the internet, a cluster or the user's models are only parsed. Blocks below
``<!-- train -->`` are run by test_training_commands.py.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from feature_file import save_random_vgg16
from PIL import Image
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(<!-- (?:run|train) -->\n)?```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN, UNMARKED = "<!-- run -->\n", ""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NOT_HERE = {
    "s3://": "an object store",
    "/data/": "a folder that several machines share",
    "DIV2K": "a dataset that is fetched",
    "--gpus": "GPUs",
    "--resume": "a run that was stopped",
    "vgg16_hed": "a file of features",
    "psnr-x4": "a model that the line before trains",
    "mine.py": "the page's own plugin, which runs in tests/engines/train/test_plugin_training.py",
    "ttsr": "references beside the photos",
}
"""Trainings with these words need more than small pictures and are only parsed."""

NOT_IN_HELP = ("gramgan ui", "Set5", " pull ", " import ", " rm ", "onnx", "gramgan plot", ">")
"""Examples in help texts with these words need a browser, the internet, another tool's file, an extra or a shell."""


def pages_with(wanted: str) -> list[Path]:
    return [page for page in PAGES if any(mark == wanted for mark, _ in BLOCK.findall(page.read_text("utf-8")))]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages name: small pictures, and runs."""
    random = np.random.default_rng(1)

    def photo(name: str, channels: int = 3, side: int = 24) -> None:
        pixels = random.integers(0, 256, (side - 4, side, channels), np.uint8)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)

    for name in ("photo.jpg", "photo.png", "scan.tif", "scan.png", "texture.png", "holiday/1.jpg", "holiday/2.png"):
        photo(name)
    photo("sharp.png", side=84)
    photo("height.png", channels=1)
    for folder in ("photos", "faces", "streets", "held-out", "scans/hr"):
        for number in range(3):
            photo(f"{folder}/{number}.png", side=284)
    for number in range(3):
        pixels = random.integers(0, 256, (70, 71, 3), np.uint8)
        (tmp_path / "scans" / "lr").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "scans" / "lr" / f"{number}.png")
    (tmp_path / "streets.txt").write_text("".join(f"streets/{number}.png\n" for number in range(3)), "utf-8")
    for name in ("first", "second"):
        run = RunFolder(tmp_path / "runs" / name)
        run.path.mkdir(parents=True)
        run.record(merge(load_recipe("psnr"), {"steps": 10}))
        for step in (5, 10):
            run.append_metrics({"step": step, "psnr_y": 20.0 + step, "ssim_y": 0.5})
    save_random_vgg16(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(block: str) -> Iterator[str]:
    """Commands in a block."""
    for line in block.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def words_of(line: str) -> list[str]:
    """Words of a command after ``gramgan``, with globs expanded."""
    words = shlex.split(line, comments=True)[1:]
    return [found for word in words for found in (sorted(glob.glob(word)) or [word])]  # noqa: PTH207


def run_here(words: list[str]) -> None:
    """Run one command in this process, which avoids importing torch again."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (words, result.output, result.exception)


def run_in_shell(line: str, folder: Path) -> None:
    """Run one command in a shell, with ``gramgan`` as a program."""
    program = folder / "bin" / "gramgan"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gramgan_cli "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(line, shell=True, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert done.returncode == 0, (line, done.stderr)


def parse(words: list[str]) -> None:
    """Parse the words with the command's parser, which raises for invalid ones."""
    command: Any = typer.main.get_command(app)
    if words[0] == "--plugin":
        words = words[2:]
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    command.make_context("gramgan", words)


@pytest.mark.parametrize("page", pages_with(RUN), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run_as_they_stand(page: Path, pictures: Path) -> None:
    for mark, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in lines(block) if mark == RUN else ():
            if line.startswith("gramgan ") and not re.search(r"[|<>&;]", line.partition(" #")[0]):
                run_here(words_of(line))
            elif sys.platform != "win32":
                run_in_shell(line, pictures)


@pytest.mark.parametrize("page", pages_with(UNMARKED), ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("pictures")
def test_other_documented_commands_parse(page: Path) -> None:
    blocks = [block for mark, block in BLOCK.findall(page.read_text(encoding="utf-8")) if mark == UNMARKED]
    for line in dict.fromkeys(line for block in blocks for line in lines(block)):
        if line.startswith("gramgan "):  # others are pip, make, torchrun and shell loops
            words = words_of(line)
            if words[0] == "build-db" and "/data/" not in line:
                run_here(words)
            elif words[0] == "train" and not any(text in line for text in NOT_HERE):
                run_here([*words, "--dry-run"])
            elif page.name == "cli.md" and words[0] != "train" and not any(text in line for text in NOT_IN_HELP):
                run_here(words)
            elif "$" not in line:
                parse(words[: words.index(">")] if ">" in words else words)


INLINE = re.compile(r"`gramgan ((?:--plugin|[a-z])[^`]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_sentences_exist(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for text in INLINE.findall(prose):
        words = shlex.split(text.replace("\\|", "|"))
        command = root
        if words[0] == "--plugin":
            words = words[2:]
        while hasattr(command, "commands") and words and re.fullmatch("[a-z-]+", words[0]):
            assert words[0] in command.commands, text
            command, words = command.commands[words[0]], words[1:]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert asked <= known | {"-h", "--help"}, text
