"""What a user of the command line can do about each kind of error: the one place where hints name options."""

from __future__ import annotations

from collections.abc import Callable

from gramgan_cli.core import errors
from gramgan_cli.core.errors import GramganError

HINTS: dict[type[GramganError], Callable[[GramganError], str]] = {
    errors.DeviceNotFound: lambda _: "Choose one of them with --device.",
    errors.PrecisionUnavailable: lambda _: "Leave out --precision, or --backend: torch computes in every precision.",
    errors.NotConvertible: lambda _: "Run it with --backend torch.",
    errors.TargetExists: lambda _: "Replace it with --overwrite.",
    errors.ModelNotFound: lambda _: "See all with: gramgan models list",
    errors.ModelNotPulled: lambda error: f"Download it with: gramgan models pull {getattr(error, 'name', 'NAME')}",
    errors.ForeignWeights: lambda error: (
        f"Import it with: gramgan models import {getattr(error, 'path', 'FILE')} --name NAME"
    ),
    errors.OutOfMemory: lambda _: "The options for that are --tile, --model and --device cpu.",
}
"""The class of an error -> one more sentence. Of an error's classes the most special one counts."""


def explain(error: GramganError) -> str:
    """Message, hint and, where there is one for this kind of error, the options or the command that help."""
    special = next((HINTS[kind](error) for kind in type(error).__mro__ if kind in HINTS), "")
    return " ".join(part for part in (error.message, error.hint, special) if part)
