"""A lock between processes that the operating system releases when its holder ends, for any reason."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gramgan_cli.core.errors import GramganError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for the duration of the block, waiting for other holders.

    The file is created if needed and not deleted. Raises GramganError if it can't be created, or if the file system
    does not support locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        hint = f"Make {path.parent} writable. For the cache's folder: or set GRAMGAN_CACHE to another one."
        raise GramganError(f"Can't write {path}: {error.strerror or error}.", hint) from error
    try:
        _lock(handle, path)
        yield
    finally:
        # Closing releases the lock on every system.
        os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether a running process holds the lock file ``path``. Raises GramganError if it can't be opened."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError as error:
        raise GramganError(f"Can't open {path}: {error.strerror or error}.") from error
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # A shared lock, so that concurrent callers do not mistake each other for the holder.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _lock(handle: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
                    return
                except PermissionError:
                    time.sleep(0.05)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        raise GramganError(f"Can't lock {path}: {error.strerror or error}.") from error
