"""Where output goes: results to stdout (people, ``--json`` or ``--quiet``), everything else to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gramgan_cli.cli.errors import explain, with_flags
from gramgan_cli.core.errors import GramganError

stderr = Console(stderr=True, highlight=False)
"""Progress, notes and errors. Rich honours NO_COLOR and falls silent on colour where it is not a terminal."""

stdout = Console(highlight=False, soft_wrap=True)
"""Results for people."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udc7f\udd00-\udfff]")
"""Characters that steer a terminal (C0 but tab and newline, DEL, C1), turn the direction of text, or are halves of one
(surrogates, but those that stand for a byte of a file's name)."""


def printable(text: str) -> str:
    """``text`` with control characters written as \\x1b: files and servers choose names and headers as they like."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def fail(message: str) -> None:
    """One sentence on stderr."""
    stderr.print(f"[bold red]Error:[/bold red] {escape(printable(with_flags(message)))}", soft_wrap=True)


def note(message: str) -> None:
    """Something worth knowing that is neither result nor error."""
    stderr.print(escape(printable(with_flags(message))), soft_wrap=True)


def warn(message: str) -> None:
    """Something that the user may want to change."""
    stderr.print(f"[yellow]Warning:[/yellow] {escape(printable(with_flags(message)))}", soft_wrap=True)


def print_fact(text: str) -> None:
    """One plain line of result for people, never wrapped or coloured; control characters are written as \\x1b."""
    print_line(printable(text))


def print_line(text: str) -> None:
    """One plain line of result, never wrapped or coloured (paths that scripts read).

    File names are bytes: what the terminal's encoding can't show is written as the file system stores it. Only on a
    terminal are control characters escaped, as ``ls`` does.
    """
    if sys.stdout.isatty():
        text = printable(text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        sys.stdout.write(text + "\n")
    except UnicodeEncodeError:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(text) + b"\n")
        sys.stdout.buffer.flush()


@dataclass
class _Documents:
    printed: int = 0
    """How many the command has printed; there is to be one."""


documents = _Documents()


def print_json(document: Any) -> None:
    """The one document of ``--json``. Non-finite numbers are not JSON and raise ValueError."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    text = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")
    documents.printed += 1


@contextmanager
def errors_in_document(json: bool, empty: Mapping[str, Any]) -> Iterator[None]:
    """Known failures of a command, where ``json``, as the one document that it promises; the error goes on.

    Args:
        json: whether the command prints JSON.
        empty: the document's usual keys, without results; ``error`` is added.
    """
    try:
        yield
    except GramganError as error:
        if json:
            print_json({**empty, "error": explain(error)})
        raise


NAME_WIDTH = 24
"""Characters that the first column of a table keeps before it is broken."""


def print_table(title: str, columns: list[str], rows: list[list[str]], texts: int = 1) -> None:
    """A table for people. The first column names things and is narrowed last.

    Args:
        title: a line above it, or nothing.
        columns: the columns' heads.
        rows: the cells.
        texts: how many columns, from the left, are left-aligned; the others hold numbers.
    """
    table = Table(title=title or None, title_justify="left")
    widest = max((len(row[0]) for row in rows), default=0)
    for index, column in enumerate(columns):
        named = index == 0
        table.add_column(
            column,
            justify="left" if index < texts else "right",
            overflow="fold",
            min_width=min(widest, NAME_WIDTH) if named else None,
        )
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    stdout.print(table)
