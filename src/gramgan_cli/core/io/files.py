"""Atomic file writes: readers see the old file, the new one, or none, but never a partial one."""

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

_HINT = "Check the free disk space and your permission to write there."

_UMASK = os.umask(0)
"""The process's umask, which mkstemp ignores. It is read once, because reading it means setting it."""
os.umask(_UMASK)


UNFINISHED = ".gramgan.part"
"""Suffix of temporary files, which is unique to gramgan."""

_LEFTOVER_AGE = 24 * 3600
"""Age in seconds from which a temporary file counts as abandoned."""


def _here() -> str:
    """Return a short identifier of this computer and, if there are several, its PID namespace."""
    numbers = Path("/proc/self/ns/pid")
    with suppress(OSError):
        return hashlib.sha256(f"{socket.gethostname()} {numbers.readlink()}".encode()).hexdigest()[:8]
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def unfinished_prefix(name: str) -> str:
    """Return the prefix of a temporary name, which identifies its process. With ``UNFINISHED`` it can be cleared."""
    return f".{name[:50]}.{_here()}-{os.getpid()}."


def clear_leftovers(folder: Path) -> None:
    """Delete temporary files and folders that killed processes left behind.

    A process on this computer is identified by its number; files of other computers expire after a day.
    """
    for left in folder.glob(f".*{UNFINISHED}"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if _is_abandoned(left):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def _is_abandoned(left: Path) -> bool:
    if time.time() - left.stat().st_mtime > _LEFTOVER_AGE:
        return True
    owner = re.search(rf"\.{_here()}-(\d+)\.[^.]*{re.escape(UNFINISHED)}$", left.name)
    if owner is None or sys.platform == "win32":  # on Windows, os.kill would end the process
        return False
    try:
        os.kill(int(owner[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's process
        return False
    return False


@contextmanager
def write_errors(path: Path, hint: str = _HINT) -> Iterator[None]:
    """Convert disk errors while writing ``path``, including those wrapped by safetensors, to ``GramganError``."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise GramganError(f"Can't write {path}: {getattr(error, 'strerror', None) or error}.", hint) from error


def check_regular_target(path: Path) -> None:
    """Refuse to replace anything but a regular file, because renaming over a device or a pipe would destroy it.

    Args:
        path: the path to be written.

    Raises:
        GramganError: the path is a folder, device, pipe or socket.
    """
    try:
        kind = path.stat().st_mode
    except OSError:  # does not exist; an unreadable folder raises when the file is written
        return
    if stat.S_ISDIR(kind):
        raise GramganError(f"{path} is a folder, not a file.", "Choose a file name.")
    if not stat.S_ISREG(kind):
        raise NotARegularFile(f"{path} is not a regular file, so it is not replaced.", "Choose another file.")


def check_regular_source(path: Path) -> None:
    """Raise NotARegularFile for a folder, device, pipe or socket: to read from a pipe would wait for ever."""
    if path.exists() and not path.is_file():
        raise NotARegularFile(f"{path} is not a regular file.", "Name a file.")


def check_target(path: Path, overwrite: bool) -> None:
    """Check that ``path`` may be written, before the work starts.

    Raises:
        TargetExists: the file exists and ``overwrite`` is off.
        GramganError: the path is a folder, device, pipe or socket.
    """
    if path.exists() and not overwrite:
        raise TargetExists(f"{path} already exists.")
    check_regular_target(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which replaces ``path`` on success and is deleted on error.

    The temporary file is hidden and ends in ``UNFINISHED``.

    Raises:
        GramganError: a disk error, or ``path`` is a folder, device, pipe or socket.
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
    """Flush the file to disk, so that a power failure after the rename can't leave an empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
