"""Hints for each type of error. Only this module names command-line options in hints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gramgan_cli.core import errors
from gramgan_cli.core.errors import GramganError, with_options_as

HINTS: dict[type[GramganError], Callable[[GramganError], str]] = {
    errors.DeviceNotFound: lambda _: "Choose one of them with `device`.",
    errors.PrecisionUnavailable: lambda _: (
        "Leave out `precision`. Or leave out `backend`: torch supports every precision."
    ),
    errors.NotConvertible: lambda _: "Run it with `backend` torch.",
    errors.RecordsNeedPyarrow: lambda _: "Or leave out records with `no_records`.",
    errors.TargetExists: lambda _: "Replace it with `overwrite`.",
    errors.BankUnreadable: lambda _: "Build one with: gramgan build-db --hr-dir DIR",
    errors.ModelNotFound: lambda _: "List all models with: gramgan models list",
    errors.ModelNotPulled: lambda error: f"Download it with: gramgan models pull {getattr(error, 'name', 'NAME')}",
    errors.ForeignWeights: lambda error: (
        f"Import it with: gramgan models import {getattr(error, 'path', 'FILE')} --name NAME"
    ),
    errors.OutOfMemory: lambda _: "Choose them with `tile` and `model`. Or use `device` cpu.",
}
"""Extra hint by error class; the most derived class applies."""

_SAME = (
    "address", "allow_truncated", "backend", "cell", "cores_per_worker", "db", "denoise", "device", "engine", "format",
    "gpus", "hr_dir", "init", "level", "lr_dir", "max_memory", "model", "no_records", "out", "output", "overwrite",
    "patch_size", "precision", "recipe", "recursive", "ref_dir", "resume", "save_attention", "shard", "skip_existing",
    "steps", "strip", "style", "tile", "tta", "valid_dir", "valid_lr_dir",
)  # fmt: skip

FLAGS = {name: "--" + name.replace("_", "-") for name in _SAME} | {
    "data.hr_crop": "--hr-crop",
    "network.arch": "--arch",
    "reference": "--ref",
    "settings": "--set",
    "template": "--output-template",
}
"""Command-line flags by the names that messages give options, in backquotes: those of Python, or recipe keys."""


@dataclass
class _Command:
    flags: frozenset[str] | None = None
    """Flags of the running command; None before it is known."""


_running = _Command()


def running_command_has(flags: Iterable[str] | None) -> None:
    """Set the flags of the running command, or None if there is none. Hints that need other flags are left out."""
    _running.flags = None if flags is None else frozenset(flags)


def explain(error: GramganError) -> str:
    """Text for the user: message, hint and extra hint of an error."""
    special = next((HINTS[kind](error) for kind in type(error).__mro__ if kind in HINTS), "")
    return with_flags(" ".join(part for part in (error.message, error.hint, special) if part))


def with_flags(text: str) -> str:
    """Replace option names by flags: "Use `format` png" becomes "Use --format png".

    Sentences after the first that name an option of another command are left out.
    """
    return with_options_as(lambda name: FLAGS.get(name, f"`{name}`"), _is_possible, text)


def _is_possible(name: str) -> bool:
    return _running.flags is None or name not in FLAGS or FLAGS[name] in _running.flags


_LIBRARY_WORDS = (
    (r"Input should be a valid integer.*", "It must be a whole number."),
    (r"Input should be a valid number.*", "It must be a number."),
    (r"Input should be a finite number.*", "It must be a finite number."),
    (r"Input should be a valid boolean.*", "It must be true or false."),
    (r"Input should be greater than or equal to (\S+?)\.?$", r"It must be at least \1."),
    (r"Input should be less than or equal to (\S+?)\.?$", r"It must be at most \1."),
    (r"Input should be greater than (\S+?)\.?$", r"It must be more than \1."),
    (r"Input should be less than (\S+?)\.?$", r"It must be less than \1."),
    (r"Input should be (.*?)\.?$", r"It must be \1."),
    (r"(?:Value|Assertion) error, (.*)", r"\1"),
)
"""Patterns of the parsing library's messages, and plain replacements."""


def plain(message: str) -> str:
    """Reword a message of the option parser in plain English."""
    for pattern, words in _LIBRARY_WORDS:
        changed = re.sub(rf"^{pattern}", words, message, flags=re.DOTALL)
        if changed != message:
            return changed
    return message
