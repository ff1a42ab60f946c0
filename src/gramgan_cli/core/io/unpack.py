"""Unpacking tar and zip archives that someone else made: files only, and nothing outside the target folder."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from gramgan_cli.core.errors import GramganError

LARGEST_CONTENT = 32 * 2**30
"""Bytes that an archive may unpack to; the largest set there is holds a tenth of that."""

_Member = tuple[str, int, IO[bytes]]
"""Name in the archive, size in bytes, content."""


def unpack(archive: Path, target: Path) -> Path:
    """Unpack ``archive`` (.tar, .tar.gz, .zip) into the new folder ``target``, which appears only when it is whole.

    One folder around everything is left away. Hidden files and macOS's ``__MACOSX`` are skipped.

    Raises GramganError for a damaged archive, a member that leads outside, a link or a device, more than 32 GiB of
    content, and for a target that exists or can't be written.
    """
    if target.exists():
        raise GramganError(f"{target} exists already.", "Move it away to have it made anew.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
            content = Path(temporary) / "content"
            content.mkdir()
            _unpack_members(archive, content)
            _without_wrapper(content).rename(target)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise GramganError(f"{archive} is a damaged archive ({error}).", "Remove it and fetch it again.") from error
    except OSError as error:
        raise GramganError(f"Can't unpack {archive} to {target}: {error.strerror or error}.") from error
    return target


def _unpack_members(archive: Path, folder: Path) -> None:
    """Write every file of ``archive`` under ``folder``."""
    total = 0
    for name, size, content in _members(archive):
        total += size
        if total > LARGEST_CONTENT:
            raise GramganError(f"{archive} unpacks to more than {LARGEST_CONTENT} bytes and was refused.")
        path = folder / _inside(name, archive)
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file)


def _members(archive: Path) -> Iterator[_Member]:
    """The visible files of an archive, in its order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as pack:
            for info in pack.infolist():
                if _is_wanted(info.filename) and not info.is_dir():
                    yield info.filename, info.file_size, pack.open(info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir() or not _is_wanted(member.name):
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise GramganError(f"{archive} holds '{member.name}', which is not a plain file, and was refused.")
            yield member.name, member.size, content


def _is_wanted(name: str) -> bool:
    """Not hidden, and not what macOS adds."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" not in parts and not (parts and parts[-1].startswith("."))


def _inside(name: str, archive: Path) -> PurePosixPath:
    """The member's relative path; one that would leave the folder, on any system, is refused."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise GramganError(f"{archive} holds '{name}', which leads outside its folder, and was refused.")
    return path


def _without_wrapper(folder: Path) -> Path:
    """``folder``, or the single folder inside it that holds everything."""
    inside = list(folder.iterdir())
    return _without_wrapper(inside[0]) if len(inside) == 1 and inside[0].is_dir() else folder
