"""Write docs/cli.md: all commands with their arguments and options, generated from the code.

    python tools/make_cli_reference.py [--check]

``--check`` writes nothing and fails if the file is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from gramgan_cli.cli.app import app

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

HEAD = """# Command line reference

This page is generated from the commands by `python tools/make_cli_reference.py`.
`gramgan COMMAND --help` prints the same text.
"""


def plain(text: str) -> str:
    """Help text without rich markup, as Markdown on one line."""
    text = re.sub(r"(?<!\\)\[/?[a-z][a-z ]*\]", "", text).replace("\\[", "[")
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


def paragraphs(text: str) -> str:
    """A command's description in paragraphs, with its bold examples in a code block."""
    parts = text.strip().split("\n\n")
    examples = [match and match[1] for match in (re.fullmatch(r"\s*\[bold\](.*)\[/bold\]\s*", part) for part in parts)]
    lines = []
    for part, example, before in zip(parts, examples, [None, *examples], strict=False):
        if example is None:
            lines += [*(["```"] if before else []), "", plain(part)]
        else:
            lines += [*([] if before else ["", "```sh"]), example]
    return "\n".join([*lines, *(["```"] if examples[-1] else [])]).strip()


@dataclass(frozen=True)
class Command:
    """A command or a group of commands."""

    words: list[str]
    """Words of the call, such as ['gramgan', 'models', 'list']."""
    help: str
    function: Callable[..., Any] | None
    """Function whose parameters are the arguments and options; None for a group."""
    children: list[list[str]]
    """Words of the commands in a group."""


def commands(group: typer.Typer, words: list[str]) -> Iterator[Command]:
    """Yield the group, then all commands in it, in the order of the help."""
    callback = group.registered_callback.callback if group.registered_callback else None
    below: list[Command] = []
    for info in group.registered_commands:
        assert info.callback is not None
        name = info.name or info.callback.__name__.strip("_").replace("_", "-")
        below.append(Command([*words, name], info.help or inspect.getdoc(info.callback) or "", info.callback, []))
    groups = [
        list(commands(info.typer_instance, [*words, str(info.name or info.typer_instance.info.name)]))
        for info in group.registered_groups
        if info.typer_instance is not None
    ]
    children = [one.words for one in below] + [members[0].words for members in groups]
    yield Command(words, str(group.info.help or ""), callback, children)
    yield from below
    for members in groups:
        yield from members


def value_of(kind: Any, info: OptionInfo) -> str:
    """Value of an option: its metavar, choices or type; empty for a switch."""
    if info.metavar:
        return info.metavar
    members = [one for one in get_args(kind) if one is not type(None)] if is_union(kind) else [kind]
    kind = members[0]
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(one.value) for one in kind)
    names = {bool: "", int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}
    return names[kind]


def is_union(kind: Any) -> bool:
    """Whether a type is a union ``A | B``."""
    return get_origin(kind) in (Union, types.UnionType)


def default_of(info: OptionInfo | ArgumentInfo, default: Any) -> str:
    """Default of an option for display; empty if there is none."""
    if isinstance(info.show_default, str):
        return info.show_default
    if isinstance(default, Enum):
        default = default.value
    return "" if default is inspect.Parameter.empty or default in (None, False, "") else str(default)


def row(name: str, kind: Any, info: OptionInfo | ArgumentInfo, default: Any) -> str:
    """One row of a table."""
    if isinstance(info, ArgumentInfo):
        names = f"`{info.metavar or name.upper()}`"
    else:
        value = value_of(kind, info)
        # The first argument of Option(...) is a name inside Annotated, and the default outside.
        given = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str)]
        names = ", ".join(f"`{one}`" for one in given or [f"--{name.replace('_', '-')}"])
        names += f" `{value}`" if value else ""
    notes = [f"default: `{shown}`"] if (shown := default_of(info, default)) else []
    notes += [f"environment: `{info.envvar}`"] if info.envvar else []
    extra = f" ({'; '.join(notes)})" if notes else ""
    names = names.replace("|", "\\|")
    return f"| {names} | {plain(info.help or '')}{extra} |"


def rows(function: Callable[..., Any]) -> Iterator[str]:
    """Table rows of a command's arguments and options."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is typer.Context:
            continue
        kind, *extras = get_args(hints[name])
        info = next(one for one in extras if isinstance(one, OptionInfo | ArgumentInfo))
        if not info.hidden:
            yield row(name, kind, info, parameter.default)


def section(command: Command) -> str:
    """Section of one command."""
    parts = [f"## {' '.join(command.words)}", paragraphs(command.help)]
    lines = list(rows(command.function)) if command.function else []
    if lines:
        parts.append("\n".join(["| argument or option | meaning |", "|---|---|", *lines]))
    if command.children:
        parts.append("Commands: " + ", ".join(f"[{words[-1]}](#{'-'.join(words)})" for words in command.children))
    return "\n\n".join(part for part in parts if part)


def reference() -> str:
    """The whole document."""
    return "\n\n".join([HEAD.strip(), *map(section, commands(app, ["gramgan"]))]) + "\n"


def main() -> None:
    """Write or check the file."""
    text = reference()
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        sys.exit("docs/cli.md is not what the commands say. Write it again with: python tools/make_cli_reference.py")


if __name__ == "__main__":
    main()
