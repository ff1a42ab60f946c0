"""Help must be fast: no command's help imports torch or other heavy modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from gramgan_cli.cli.app import app

HEAVY = ("torch", "torchvision", "faiss", "scipy", "numpy", "PIL")

PROBE = """
import contextlib, io, json, sys
from gramgan_cli.cli.app import app
found = []
for words in json.loads(sys.argv[1]):
    before, printed, code = set(sys.modules), io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            app([*words, "--help"])
        except SystemExit as leaving:
            code = leaving.code
    new = set(sys.modules) - (before if found else set())
    found.append([code, sorted(new & set({heavy})), "Usage" in printed.getvalue()])
print(json.dumps(found))
"""


def commands() -> list[list[str]]:
    """Every command and group of the application, as lists of words."""

    def below(command: object, words: list[str]) -> list[list[str]]:
        children = getattr(command, "commands", {})
        return [words, *(found for name, child in children.items() for found in below(child, [*words, name]))]

    return below(typer.main.get_command(app), [])


def test_the_list_of_commands_is_not_empty() -> None:
    assert ["models", "pull"] in commands()


@pytest.fixture(scope="module")
def helped() -> dict[str, list[object]]:
    """Exit code, heavy modules imported and usage of each command's help, from one fresh process."""
    probe = [sys.executable, "-c", PROBE.format(heavy=HEAVY), json.dumps(commands())]
    done = subprocess.run(probe, capture_output=True, text=True, check=True)
    return {" ".join(words): row for words, row in zip(commands(), json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "gramgan")
def test_help_imports_nothing_heavy(words: list[str], helped: dict[str, list[object]]) -> None:
    assert helped[" ".join(words)] == [0, [], True]


def test_version_is_printed() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gramgan_cli", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("gramgan ")


UPSCALE_PROBE = """
import sys
from gramgan_cli.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as leaving:
    code = leaving.code
print("code", code, "loaded", [name for name in {needless} if name in sys.modules], file=sys.stderr)
"""

NEEDLESS = ("torch._dynamo", "torch._inductor", "sympy", "torchvision", "scipy", "faiss", "matplotlib")


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_upscaling_imports_nothing_needless(tmp_path: Path, backend: str) -> None:
    """In particular not torch's compiler, which imports slower than torch and is pulled in by tensor initialisation."""
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    words = ["upscale", str(tmp_path / "a.png"), "--device", "cpu", "--backend", backend]
    probe = UPSCALE_PROBE.format(needless=NEEDLESS)
    for _ in range(2):  # first with a new conversion, then with a stored one
        result = subprocess.run(
            [sys.executable, "-c", probe, *words, "--overwrite"], capture_output=True, text=True, check=False
        )
        assert result.stderr.strip().splitlines()[-1] == "code 0 loaded []", result.stderr
