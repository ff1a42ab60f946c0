"""Output: results go to stdout (tables, ``--json`` or ``--quiet``), everything else to stderr."""

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
"""Console for progress, notes and errors. Rich honours NO_COLOR and uses colour only on a terminal."""

stdout = Console(highlight=False, soft_wrap=True)
"""Console for tables of results."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udc7f\udd00-\udfff]")
"""Control characters (C0 but tab and newline, DEL, C1), bidirectional text controls, and surrogates, except those that
stand for bytes of a file name."""


def printable(text: str) -> str:
    """Escape control characters, like \\x1b, since files and servers can have any names and headers."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def fail(message: str) -> None:
    """Print an error to stderr."""
    stderr.print(f"[bold red]Error:[/bold red] {escape(printable(with_flags(message)))}", soft_wrap=True)


def note(message: str) -> None:
    """Print a note to stderr, which is neither result nor error."""
    stderr.print(escape(printable(with_flags(message))), soft_wrap=True)


def warn(message: str) -> None:
    """Print a warning to stderr."""
    stderr.print(f"[yellow]Warning:[/yellow] {escape(printable(with_flags(message)))}", soft_wrap=True)


def print_fact(text: str) -> None:
    """Print one plain line of result, never wrapped or coloured, with control characters escaped."""
    print_line(printable(text))


def print_line(text: str) -> None:
    """Print one plain line of result, such as a path for scripts, never wrapped or coloured.

    Text that stdout's encoding can't represent is written as the bytes of the file system. Control characters are
    escaped only on a terminal, like in ``ls``.
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
    """Number of JSON documents that the command has printed; at most one is expected."""


documents = _Documents()


def print_json(document: Any) -> None:
    """Print the JSON document of ``--json``. Raises ValueError for non-finite numbers, which JSON lacks."""
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
    """Context that prints a GramganError as the JSON document, if ``json``, and re-raises it.

    Args:
        json: whether the command prints JSON.
        empty: the document without results, to which ``error`` is added.
    """
    try:
        yield
    except GramganError as error:
        if json:
            print_json({**empty, "error": explain(error)})
        raise


NAME_WIDTH = 24
"""Least width of a table's first column in characters, before its text is wrapped."""


def print_table(title: str, columns: list[str], rows: list[list[str]], texts: int = 1) -> None:
    """Print a table to stdout. The first column is narrowed last.

    Args:
        title: line above the table; may be empty.
        columns: headings.
        rows: cells.
        texts: number of left-aligned columns, from the left; the others are right-aligned.
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
