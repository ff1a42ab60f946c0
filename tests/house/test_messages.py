"""Messages below the command line use the options' Python names, which the command line turns into flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gramgan_cli.cli.app import app
from gramgan_cli.cli.errors import FLAGS, HINTS, running_command_has, with_flags
from gramgan_cli.core.errors import GramganError

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


def hints() -> list[str]:
    """The extra hint of each class of errors."""
    return [hint(GramganError("It failed.")) for hint in HINTS.values()]


def commands(group: Any) -> Iterator[Any]:
    """All commands, without the groups."""
    for command in getattr(group, "commands", {}).values():
        yield from commands(command)
        if not hasattr(command, "commands"):
            yield command


def flags_of(command: Any) -> set[str]:
    return {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}


COMMANDS = {one.callback.__module__ + "." + one.callback.__name__: one for one in commands(typer.main.get_command(app))}


def test_no_message_names_a_flag() -> None:
    """Whole commands, such as ``gramgan train --recipe gramgan``, have theirs."""
    assert [(where, text) for where, text in messages() if FLAG.search(text.partition("gramgan ")[0])] == []
    assert [text for text in hints() if FLAG.search(text.partition("gramgan ")[0])] == []


def test_each_option_in_a_message_becomes_a_flag_that_exists() -> None:
    texts = [*(text for _, text in messages()), *hints()]
    assert {name for text in texts for name in OPTION.findall(text)} == set(FLAGS)
    assert set(FLAGS.values()) <= {flag for command in COMMANDS.values() for flag in flags_of(command)}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_hint_names_an_option_that_the_command_lacks(name: str) -> None:
    """Any hint can reach any command, since all use the same reader, store and backends."""
    running_command_has(flags_of(COMMANDS[name]))
    for text in [*(text for _, text in messages()), *hints()]:
        message = with_flags(f"It failed. Then {text}")
        named = {flag for flag in FLAG.findall(message.partition("gramgan ")[0]) if flag in FLAGS.values()}
        assert named <= flags_of(COMMANDS[name]), text
