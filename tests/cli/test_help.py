"""Every command's help has an example that its own parser takes."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator

import click
import pytest
import typer

from gramgan_cli.cli.app import app


def commands(group: click.Group, words: tuple[str, ...] = ("gramgan",)) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS)
def test_help_has_an_example_that_can_be_parsed(words: str) -> None:
    command = COMMANDS[words]
    text = inspect.getdoc(command.callback) or command.help or ""
    examples = re.findall(rf"(?:\[bold\]|^ *|Example: |`)({re.escape(words)}\b[^\[\n`]*)", text, re.MULTILINE)
    assert examples, text
    for example in examples:
        line = example.partition(" > ")[0].partition(" && ")[0].partition(" | ")[0].strip()
        arguments = shlex.split(line)[len(words.split()) :]
        command.make_context(words, arguments)  # raises for what the command does not take


@pytest.mark.parametrize("words", COMMANDS)
def test_short_options_mean_the_same_everywhere(words: str) -> None:
    meanings = {"-m": {"--model"}, "-o": {"--output"}, "-f": {"--format"}, "-q": {"--quiet"}, "-r": {"--recursive"}}
    for option in COMMANDS[words].params:
        for short in set(option.opts) & set(meanings):
            assert meanings[short] & set(option.opts), (words, option.opts)
