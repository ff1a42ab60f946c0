"""Where output goes: results to stdout (people, ``--json`` or ``--quiet``), everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

stderr = Console(stderr=True, highlight=False)
"""Progress, notes and errors. Rich honours NO_COLOR and falls silent on colour where it is not a terminal."""

stdout = Console(highlight=False, soft_wrap=True)
"""Results for people."""


def fail(message: str) -> None:
    """One sentence on stderr."""
    stderr.print(f"[bold red]Error:[/bold red] {escape(message)}", soft_wrap=True)


def note(message: str) -> None:
    """Something worth knowing that is neither result nor error."""
    stderr.print(escape(message), soft_wrap=True)


def warn(message: str) -> None:
    """Something that the person may want to change."""
    stderr.print(f"[yellow]Warning:[/yellow] {escape(message)}", soft_wrap=True)


def print_line(text: str) -> None:
    """One plain line of result, never wrapped or coloured (paths that scripts read).

    File names are bytes: what the terminal's encoding can't show is written as the file system stores it.
    """
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        sys.stdout.write(text + "\n")
    except UnicodeEncodeError:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(text) + b"\n")
        sys.stdout.buffer.flush()


def print_json(document: Any) -> None:
    """The one document of ``--json``. Non-finite numbers are not JSON and raise ValueError."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")


NAME_WIDTH = 24
"""Characters that the first column of a table keeps before it is broken."""


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table for people; the first column, which names things, is left-aligned and narrowed last."""
    table = Table(title=title or None, title_justify="left")
    widest = max((len(row[0]) for row in rows), default=0)
    for index, column in enumerate(columns):
        named = index == 0
        table.add_column(
            column,
            justify="left" if named else "right",
            overflow="fold",
            min_width=min(widest, NAME_WIDTH) if named else None,
        )
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    stdout.print(table)
