"""Shell completion of names, through the protocols of bash, zsh and fish."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def offered(shell: str, line: str) -> set[str]:
    """Completions of the last word of a line."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'gramgan'; from gramgan_cli.cli.app import main; main()"],
        env={**os.environ, "_GRAMGAN_COMPLETE": f"complete_{shell}", **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    text = done.stdout.replace('"', " ").replace("'", " ").replace("(", " ").replace(")", " ")
    return set(text.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_models_are_offered(shell: str) -> None:
    found = offered(shell, "gramgan upscale photo.jpg --model cl")
    assert {"clean", "clean-gan"} <= found
    assert "photo" not in found


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gramgan bench Set1", "Set14"),
        ("gramgan bench Set5 -m lan", "lanczos"),
        ("gramgan compare photo.jpg -m pho", "photo"),
        ("gramgan models info cl", "clean-gan"),
        ("gramgan models pull realesr", "realesrgan-x4plus"),
        ("gramgan train --recipe psnr-c", "psnr-compact"),
        ("gramgan data pull Urb", "Urban100"),
    ],
)
def test_names_are_offered_where_they_are_taken(shell: str, line: str, expected: str) -> None:
    assert expected in offered(shell, line)
