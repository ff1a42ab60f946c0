"""The failures that a user can act on, one class for each kind.

The message says what happened and to which file; the hint says what to do next. Neither names an option of the command
line: ``cli/errors.py`` adds that, by the class, and maps classes to exit codes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class GramganError(Exception):
    """A known failure (exit code 1).

    Args:
        message: one sentence that names the file or value.
        hint: one sentence: what to do next; None where the class says all.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers send errors to the process that started them, and subclasses take other arguments.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[GramganError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> GramganError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(fields)
    return error


class UsageError(GramganError):
    """The call can't work as it was made (exit code 2)."""

    exit_code = 2


class DeviceNotFound(UsageError):
    """This computer does not have the device."""


class PrecisionUnavailable(UsageError):
    """The backend does not compute in that precision, at all or on this processor."""


class TargetExists(GramganError):
    """A file that was to be written exists already."""


class NotARegularFile(GramganError):
    """A path that was to be read or written is a device, a pipe or a socket."""


class MissingExtra(GramganError):
    """An optional package is not installed.

    Args:
        message: one sentence: what needs it.
        extra: the extra of the distribution that brings it.
    """

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message, install_hint(extra))
        self.extra = extra


class ModelNotFound(GramganError):
    """No model has that name."""


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
    """The store has a model of that name."""


class ModelDamaged(GramganError):
    """A weights file can't be read, or does not fit its network."""


class ModelUnsupported(GramganError):
    """The weights file is sound, but gramgan can't run or export its network."""


class ForeignWeights(ModelUnsupported):
    """The weights file is another tool's: it has to be imported.

    Args:
        message: one sentence.
        path: the file.
    """

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class NotConvertible(ModelUnsupported):
    """A backend can't run this network; torch can."""


class ImageDamaged(GramganError):
    """A picture file can't be decoded."""


class ImageUnsupported(GramganError):
    """The picture is of a kind that gramgan does not read or write."""


class ImageTooLarge(GramganError):
    """The picture needs more memory, or has more pixels, than is allowed."""


class OutOfMemory(GramganError):
    """The device could not hold what was to be computed."""


class Offline(GramganError):
    """A download was needed while ``GRAMGAN_OFFLINE`` is set."""


class DownloadFailed(GramganError):
    """The server could not be reached, or did not send the file that was expected."""


class ArchiveDamaged(GramganError):
    """A tar or zip file can't be unpacked."""


class StateDamaged(GramganError):
    """A training state can't be read, so the run can't resume from it."""


def install_hint(extra: str) -> str:
    """The command that installs an extra of this distribution, as it was installed itself."""
    from gramgan_cli.core.installation import install_command

    return f"Install it with: {install_command(extra)}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Known failures over what a file holds, with the file's name before them; the class stays."""
    try:
        yield
    except GramganError as error:
        error.message = f"{path}: {error.message}"
        raise


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """'Did you mean x, y?' for a name that is not among ``known``; the known names where nothing is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"Known: {', '.join(names)}." if names else ""
