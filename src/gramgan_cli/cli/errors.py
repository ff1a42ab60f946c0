"""What a user of the command line can do about each kind of error: the one place where hints name options."""

from __future__ import annotations

import re
from collections.abc import Callable

from gramgan_cli.core import errors
from gramgan_cli.core.errors import GramganError

HINTS: dict[type[GramganError], Callable[[GramganError], str]] = {
    errors.DeviceNotFound: lambda _: "Choose one of them with --device.",
    errors.PrecisionUnavailable: lambda _: "Leave out --precision, or --backend: torch computes in every precision.",
    errors.NotConvertible: lambda _: "Run it with --backend torch.",
    errors.TargetExists: lambda _: "Replace it with --overwrite.",
    errors.BankUnreadable: lambda _: "Make one with: gramgan build-db --hr-dir DIR",
    errors.ModelNotFound: lambda _: "See all with: gramgan models list",
    errors.ModelNotPulled: lambda error: f"Download it with: gramgan models pull {getattr(error, 'name', 'NAME')}",
    errors.ForeignWeights: lambda error: (
        f"Import it with: gramgan models import {getattr(error, 'path', 'FILE')} --name NAME"
    ),
    errors.OutOfMemory: lambda _: "The options for that are --tile, --model and --device cpu.",
}
"""The class of an error -> one more sentence. Of an error's classes the most special one counts."""

FLAGS = {
    "allow_truncated": "--allow-truncated",
    "data.hr_crop": "--hr-crop",
    "denoise": "--denoise",
    "format": "--format",
    "lr_dir": "--lr-dir",
    "model": "--model",
    "settings": "--set",
    "style": "--style",
}
"""What messages of the core call an option, in backquotes -> what the command line calls it."""

_OPTION = re.compile("`([a-z_.]+)`")


def explain(error: GramganError) -> str:
    """Message, hint and, where there is one for this kind of error, the options or the command that help."""
    special = next((HINTS[kind](error) for kind in type(error).__mro__ if kind in HINTS), "")
    return with_flags(" ".join(part for part in (error.message, error.hint, special) if part))


def with_flags(text: str) -> str:
    """A message with the options that it names as flags: "Use `format` png" as "Use --format png"."""
    return _OPTION.sub(lambda match: FLAGS.get(match[1], match[0]), text)


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
"""What the library that reads values says of wrong ones, and the same in plain words."""


def plain(message: str) -> str:
    """What the parser of options says, without library wording."""
    for pattern, words in _LIBRARY_WORDS:
        changed = re.sub(rf"^{pattern}", words, message, flags=re.DOTALL)
        if changed != message:
            return changed
    return message
