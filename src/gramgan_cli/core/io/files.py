"""Writing files so that a reader sees the old one, the new one, or none: never half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from gramgan_cli.core.errors import GramganError

_HINT = "Check the disk's free space and that you may write there."

_UMASK = os.umask(0)
"""The process's file mode mask, which mkstemp ignores; read once, because reading means setting."""
os.umask(_UMASK)


UNFINISHED = ".gramgan.part"
"""Ending of the hidden names that are written under; no other program's."""

_LEFTOVER_AGE = 24 * 3600
"""Seconds after which something unfinished belongs to no running process."""


def clear_leftovers(folder: Path) -> None:
    """Delete the unfinished files and folders that killed runs left, once no running process can own them."""
    for left in folder.glob(f".*{UNFINISHED}"):
        with suppress(FileNotFoundError):  # another process's, which has just been finished
            if time.time() - left.stat().st_mtime > _LEFTOVER_AGE:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


@contextmanager
def write_errors(path: Path, hint: str = _HINT) -> Iterator[None]:
    """Errors of the disk while ``path`` is written, as one sentence; those too that safetensors has wrapped."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise GramganError(f"Can't write {path}: {getattr(error, 'strerror', None) or error}.", hint) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; on success it takes ``path``'s place, on error it goes.

    The temporary name is hidden and ends in ``UNFINISHED``. Errors of the disk come out as one sentence.
    """
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=UNFINISHED, dir=path.parent)
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
