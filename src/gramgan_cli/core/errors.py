"""Errors that a person can act on. The command line prints them as one sentence and maps them to exit codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class GramganError(Exception):
    """A known failure (exit code 1): one sentence that names the file or option, and what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UsageError(GramganError):
    """The command was called in a way that can't work (exit code 2)."""

    exit_code = 2


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """Known failures over what a file holds, with the file's name before them."""
    try:
        yield
    except GramganError as error:
        raise GramganError(f"{path}: {error.message}", error.hint) from error


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """'Did you mean x, y?' for a name that is not among ``known``; the known names where nothing is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"Known: {', '.join(names)}." if names else ""
