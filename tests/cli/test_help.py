"""Requirements for every command's help: examples first, panels, consistent short options, terms explained."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from gramgan_cli.cli.app import app


def commands(group: Any, words: tuple[str, ...] = ("gramgan",)) -> Iterator[tuple[str, Any]]:
    yield " ".join(words), group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


ROOT = typer.main.get_command(app)
EVERY = dict(commands(ROOT))
COMMANDS = {words: command for words, command in EVERY.items() if not hasattr(command, "commands")}

SHORT = {
    "-f": "--format",
    "-h": "--help",
    "-m": "--model",
    "-o": "--output",
    "-q": "--quiet",
    "-r": "--recursive",
    "-s": "--style",
}
"""Long form of each short option."""

MOST_WITHOUT_PANELS = 8

EXPLAINED = {
    "HR": r"HR (?:is a|are the|are|\(?the) ?sharp|sharp original \(HR\)",
    "LR": r"LR is the same (?:photo|picture) made smaller|LR are the pictures that are (?:reduced|made) from them",
    "Y": r"Y, the brightness|Y \(brightness\)",
    "Gram": r"Gram matri(?:x|ces)\b.*colours|colour covariances \(Gram matrices\)|gram \(colour covariance",
}
"""Technical terms, and patterns of their explanations in a help text."""


def paragraphs(command: Any) -> list[str]:
    return [part.strip() for part in (command.help or "").split("\n\n")]


def examples(command: Any) -> list[str]:
    found = (re.fullmatch(r"\[bold\](.*)\[/bold\]", part) for part in paragraphs(command))
    return [match[1] for match in found if match]


def options(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "option" and not one.hidden]


def output(command: Any) -> str:
    """All text of a help page, without the names of options and commands."""
    texts = [command.help or "", *(getattr(one, "help", None) or "" for one in command.params)]
    return re.sub(r"\[/?bold\]|--[a-z-]+", "", " ".join(texts))


@pytest.mark.parametrize("words", EVERY)
def test_help_begins_with_two_or_three_examples(words: str) -> None:
    command = EVERY[words]
    first, *others = paragraphs(command)
    assert first.endswith(".")
    assert "[bold]" not in first
    found = examples(command)
    assert 2 <= len(found) <= 3
    assert [f"[bold]{one}[/bold]" for one in found] == others[: len(found)], "right after the first sentence"
    assert all(one.startswith(words) for one in found), found


@pytest.mark.parametrize("words", EVERY)
def test_help_examples_are_valid_commands(words: str) -> None:
    for example in examples(EVERY[words]):
        line = example.partition(" > ")[0]
        name = max((name for name in EVERY if line == name or line.startswith(f"{name} ")), key=len)
        arguments = shlex.split(line)[len(name.split()) :]
        if arguments != ["--help"]:
            EVERY[name].make_context(name, arguments)  # raises for invalid arguments


@pytest.mark.parametrize("words", EVERY)
def test_short_options_mean_the_same_everywhere(words: str) -> None:
    for option in options(EVERY[words]):
        short = [one for one in option.opts if re.fullmatch("-[a-zA-Z]", one)]
        assert all(SHORT.get(one) in option.opts for one in short), option.opts
        expected = [one for one, long in SHORT.items() if long in option.opts and long != "--help"]
        assert short == expected or "--help" in option.opts, f"{option.opts} has no {expected}"


@pytest.mark.parametrize("words", COMMANDS)
def test_many_options_stand_in_panels_the_common_ones_first_and_clusters_last(words: str) -> None:
    panels = [getattr(one, "rich_help_panel", None) for one in options(COMMANDS[words]) if "--help" not in one.opts]
    named = [one for one in panels if one is not None]
    if len(panels) > MOST_WITHOUT_PANELS:
        assert named
        assert panels.count(None) <= 11, "the common ones"
        assert max(named.count(one) for one in named) <= MOST_WITHOUT_PANELS
    assert panels == sorted(panels, key=lambda one: list(dict.fromkeys([None, *panels])).index(one)), "side by side"
    of_clusters = [one for one in options(COMMANDS[words]) if re.search(r"cluster|several gpus", one.help or "", re.I)]
    for option in of_clusters:
        assert getattr(option, "rich_help_panel", None) == panels[-1]


@pytest.mark.parametrize("words", EVERY)
def test_words_of_the_field_are_explained_where_they_appear(words: str) -> None:
    text = output(EVERY[words])
    for word, explained in EXPLAINED.items():
        if re.search(rf"\b{word}\b(?!_)", text):
            assert re.search(explained, text), (word, text)


@pytest.mark.parametrize("words", EVERY)
def test_no_text_is_taken_for_markup(words: str) -> None:
    command = EVERY[words]
    for text in [command.help or "", *(getattr(one, "help", None) or "" for one in command.params)]:
        assert re.findall(r"(?<!\\)\[(?!/?bold\])", text) == [], text
