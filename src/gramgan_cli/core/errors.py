"""Errors that a user can act on, one class per kind.

The message says what happened and to which file; the hint says what to do next. Both name options as in Python or in a
recipe, in backquotes. ``cli/errors.py`` replaces these by flags, and adds hints about other commands by class.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OPTION = re.compile("`([a-z_.]+)`")
"""Option name in a message."""

_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z`])")
"""Space between two sentences of a message."""


class GramganError(Exception):
    """An expected failure (exit code 1).

    Args:
        message: one sentence that names the file or value.
        hint: one sentence that says what to do next; None if the class implies it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers pickle errors for their parent process, and subclasses take other arguments.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[GramganError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> GramganError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(fields)
    return error


class UsageError(GramganError):
    """The call is invalid (exit code 2)."""

    exit_code = 2


def first_of(sentences: Sequence[str], most: int) -> str:
    """Join the first ``most`` sentences, and add how many more there are."""
    more = [f"And {len(sentences) - most} more."] if len(sentences) > most else []
    return " ".join([*sentences[:most], *more])


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise UsageError unless ``value`` of the option ``name`` is one of ``choices``."""
    if value not in choices:
        raise UsageError(f"`{name}` can't be {value!r}.", f"Choose from: {', '.join(choices)}.")


def check_number(name: str, value: object, least: int, most: int | None = None) -> None:
    """Raise UsageError unless ``value`` of the option ``name`` is an integer from ``least`` to ``most``."""
    if not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UsageError(f"`{name}` can't be {value!r}.", f"Pass a whole number {limits}.")


def check_share(name: str, value: object) -> None:
    """Raise UsageError unless ``value`` of the option ``name`` is a number from 0 to 1."""
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(f"`{name}` can't be {value!r}: `{name}` is a number from 0 to 1.", "Pass such a number.")


class DeviceNotFound(UsageError):
    """The device does not exist on this computer."""


class PrecisionUnavailable(UsageError):
    """The backend does not support this precision, at all or on this processor."""


class TargetExists(GramganError):
    """The file to be written already exists."""


class NotARegularFile(GramganError):
    """The path to be read or written is a device, a pipe or a socket."""


class MissingExtra(GramganError):
    """An optional package is not installed.

    Args:
        message: one sentence that says what needs the package.
        extra: the extra of this distribution that installs it.
    """

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message, install_hint(extra))
        self.extra = extra


class ModelNotFound(GramganError):
    """There is no model of that name."""


class ModelNotPulled(ModelNotFound):
    """The catalogue lists the model, but it has not been downloaded.

    Args:
        message: one sentence.
        name: its name in the catalogue.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class ModelExists(TargetExists):
    """The store already has a model of that name."""


class ModelDamaged(GramganError):
    """A weights file can't be read, or does not match its network."""


class ModelUnsupported(GramganError):
    """The weights file is valid, but gramgan can't run or export its network."""


class ForeignWeights(ModelUnsupported):
    """The weights file comes from another tool and must be imported first.

    Args:
        message: one sentence.
        path: the file.
    """

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class NotConvertible(ModelUnsupported):
    """The backend can't run this network, but torch can."""


class ImageDamaged(GramganError):
    """An image file can't be decoded."""


class ImageUnsupported(GramganError):
    """The image is of a kind that gramgan can't read or write."""


class ImageTooLarge(GramganError):
    """The image exceeds the memory or pixel limit."""


class OutOfMemory(GramganError):
    """The device ran out of memory."""


class Offline(GramganError):
    """A download is needed, but ``GRAMGAN_OFFLINE`` is set."""


class DownloadFailed(GramganError):
    """The server could not be reached, or did not send the expected file."""


class ArchiveDamaged(GramganError):
    """A tar or zip file can't be unpacked."""


class BankUnreadable(GramganError):
    """There is no texture bank at that path, or none that can be read."""


class RecordsNeedPyarrow(GramganError):
    """Records of batch runs need pyarrow, which is not installed."""


class StateDamaged(GramganError):
    """A training state can't be read, so the run can't resume from it."""


def install_hint(extra: str) -> str:
    """Return a hint with the command that installs an extra of this distribution."""
    from gramgan_cli.core.installation import install_command

    return f"Install it with: {install_command(extra)}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Prefix the messages of ``GramganError``s raised in this context with the file's name."""
    try:
        yield
    except GramganError as error:
        error.message = f"{path}: {error.message}"
        raise


def with_options_as(word: Callable[[str], str], possible: Callable[[str], bool], text: str) -> str:
    """Return a message with its option names replaced, for readers who have only some of the options.

    Args:
        word: replacement of an option name and its backquotes.
        possible: whether the reader can choose an option. Sentences after the first that name another are left out.
        text: message and hint.
    """
    first, *further = _BETWEEN_SENTENCES.split(text)
    kept = [first, *(sentence for sentence in further if all(map(possible, _OPTION.findall(sentence))))]
    return _OPTION.sub(lambda match: word(match[1]), " ".join(kept))


def in_plain_words(text: str, options: Collection[str] = ()) -> str:
    """Return a message for a page or report: "Use `max_memory`" becomes "Use max memory".

    Args:
        text: message and hint.
        options: options that the reader can choose. Sentences after the first that name another are left out.
    """
    return with_options_as(lambda name: name.replace("_", " "), lambda name: name in options, text)


def type_name(kind: type) -> str:
    """Return the plain English name of a type of values, as in 'It must be a whole number'."""
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(kind, kind.__name__)


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return 'Did you mean x, y?' for an unknown name, or the list of known names if none is similar."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"Known: {', '.join(names)}." if names else ""
