"""Messages below the command line use the options' Python names, which the command line turns into flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from gramgan_cli.cli.app import app
from gramgan_cli.cli.errors import FLAGS

SOURCE = Path(__file__).resolve().parents[2] / "src" / "gramgan_cli"

FLAG = re.compile(r"(?<![\w-])(--[a-z][\w-]*|-o\b)")

OPTION = re.compile(r"`([a-z_.]+)`")


def messages() -> Iterator[tuple[str, str]]:
    """(file and line, text) of each string below the command line that is not a docstring."""
    for folder in ("core", "recipes", "engines"):
        for path in sorted((SOURCE / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
                    yield f"{path.relative_to(SOURCE).as_posix()}:{node.lineno}", node.value


def options(command: Any) -> set[str]:
    """Flags of a command and its sub-commands."""
    own = {name for one in command.params for name in one.opts}
    return own.union(*(options(inner) for inner in getattr(command, "commands", {}).values()))


def test_no_message_names_a_flag() -> None:
    """Whole commands, such as ``gramgan train --recipe gramgan``, have theirs."""
    assert [(where, text) for where, text in messages() if FLAG.search(text.partition("gramgan ")[0])] == []


def test_each_option_in_a_message_becomes_a_flag_that_exists() -> None:
    assert {name for _, text in messages() for name in OPTION.findall(text)} == set(FLAGS)
    assert set(FLAGS.values()) <= options(typer.main.get_command(app))
