"""Writing files so that a reader sees the old one, the new one, or none: never half of one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from gramgan_cli.core.errors import GramganError, NotARegularFile, TargetExists

_HINT = "Check the disk's free space and that you may write there."

_UMASK = os.umask(0)
"""The process's file mode mask, which mkstemp ignores; read once, because reading means setting."""
os.umask(_UMASK)


UNFINISHED = ".gramgan.part"
"""Ending of the hidden names that are written under; no other program's."""

_LEFTOVER_AGE = 24 * 3600
"""Seconds after which something unfinished belongs to no running process."""


def _here() -> str:
    """This computer and, where there are several, its set of process numbers, as few letters."""
    numbers = Path("/proc/self/ns/pid")
    with suppress(OSError):
        return hashlib.sha256(f"{socket.gethostname()} {numbers.readlink()}".encode()).hexdigest()[:8]
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def unfinished_prefix(name: str) -> str:
    """The beginning of a hidden name to write under, which tells whose it is; ends in ``UNFINISHED`` it is cleared."""
    return f".{name[:50]}.{_here()}-{os.getpid()}."


def clear_leftovers(folder: Path) -> None:
    """Delete the unfinished files and folders that killed runs left.

    A run of this computer is known by its process number, one elsewhere counts as gone after a day.
    """
    for left in folder.glob(f".*{UNFINISHED}"):
        with suppress(FileNotFoundError):  # another process's, which has just been finished
            if _is_abandoned(left):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def _is_abandoned(left: Path) -> bool:
    if time.time() - left.stat().st_mtime > _LEFTOVER_AGE:
        return True
    owner = re.search(rf"\.{_here()}-(\d+)\.[^.]*{re.escape(UNFINISHED)}$", left.name)
    if owner is None or sys.platform == "win32":  # there, to ask for a process by its number can end it
        return False
    try:
        os.kill(int(owner[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False


@contextmanager
def write_errors(path: Path, hint: str = _HINT) -> Iterator[None]:
    """Errors of the disk while ``path`` is written, as one sentence; those too that safetensors has wrapped."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise GramganError(f"Can't write {path}: {getattr(error, 'strerror', None) or error}.", hint) from error


def check_regular_target(path: Path) -> None:
    """Refuse to replace what is no file: to rename a file over a device or a pipe would destroy it.

    Args:
        path: where something is to be written; nothing, a file, or a link to one of these.

    Raises:
        GramganError: there is a folder, device, pipe or socket.
    """
    try:
        kind = path.stat().st_mode
    except OSError:  # nothing there; a folder that can't be searched shows when the file is written
        return
    if stat.S_ISDIR(kind):
        raise GramganError(f"{path} is a folder, not a file.", "Name a file.")
    if not stat.S_ISREG(kind):
        raise NotARegularFile(f"{path} is not a regular file, so it is not replaced.", "Name another file.")


def check_target(path: Path, overwrite: bool) -> None:
    """Before the work starts: ``path`` may be written.

    Raises:
        TargetExists: there is a file, and ``overwrite`` is off.
        GramganError: there is a folder, device, pipe or socket.
    """
    if path.exists() and not overwrite:
        raise TargetExists(f"{path} exists already.")
    check_regular_target(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; on success it takes ``path``'s place, on error it goes.

    The temporary name is hidden and ends in ``UNFINISHED``. Errors of the disk come out as one sentence.

    Raises:
        GramganError: the disk refuses, or ``path`` is a folder, device, pipe or socket.
    """
    check_regular_target(path)
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=unfinished_prefix(path.name), suffix=UNFINISHED, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with write_errors(path):
            yield temporary
            temporary.chmod(0o666 & ~_UMASK)
            _flush_to_disk(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Force the file's bytes out, so that a power cut after the rename can't leave an empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
