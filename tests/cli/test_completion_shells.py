"""Completion in real shells: the completion script is loaded and its function called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = """
eval "$(gramgan --show-completion bash)"
complete -p gramgan > /dev/null || exit 1
read -r -a COMP_WORDS <<< "$1"
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_gramgan_completion gramgan
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
compdef() { : }
_arguments() { print -r -- "$@" }
source <(gramgan --show-completion zsh)
words=(${(z)1})
CURRENT=${#words}
_gramgan_completion
"""

LINES = [
    ("gramgan upscale photo.jpg --model cl", {"clean", "clean-gan"}, "photo"),
    ("gramgan train --recipe psnr-c", {"psnr-compact"}, "photo"),
    ("gramgan bench Set1", {"Set14"}, "Set5"),
    ("gramgan models pull realesr", {"realesrgan-x4plus"}, "clean"),
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH where ``gramgan`` is this checkout's command."""
    program = tmp_path / "bin" / "gramgan"
    program.parent.mkdir()
    starts = "import sys; sys.argv[0] = 'gramgan'; from gramgan_cli.cli.app import main; main()"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{starts}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(("line", "expected", "other"), LINES)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_offers_names(shell: str, line: str, expected: set[str], other: str, path: str) -> None:
    if shutil.which(shell) is None or sys.platform == "win32":
        pytest.skip(f"needs {shell}")
    script = {"bash": BASH, "zsh": ZSH}[shell]
    quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["--no-rcs"]}[shell]
    done = subprocess.run(
        [shell, *quiet, "-c", script, shell, line],
        env={**os.environ, "PATH": path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    offered = set(done.stdout.replace('"', " ").replace("(", " ").replace(")", " ").split())
    assert expected <= offered, (done.stdout, done.stderr)
    assert other not in offered
