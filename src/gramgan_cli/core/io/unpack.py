"""Safe unpacking of tar and zip files from any source: regular files only, and nothing outside the target folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from gramgan_cli.core.errors import ArchiveDamaged, GramganError

LARGEST_CONTENT = 32 * 2**30
"""Maximum unpacked size in bytes; the largest known set has a tenth of that."""

DEEPEST = 64
"""Maximum folder depth of a member."""

CHUNK = 2**20

ENCRYPTED = 1
"""Encryption bit of a zip member's flags (APPNOTE 4.4.4)."""

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
)
"""Errors that the standard library raises for damaged archives."""

_Member = tuple[str, int, IO[bytes]]
"""(name in the archive, size in bytes, content)."""


def unpack(archive: Path, target: Path) -> Path:
    """Unpack ``archive`` (.tar, .tar.gz, .zip) into the new folder ``target``, atomically.

    A single top-level folder is removed. Hidden files and macOS's ``__MACOSX`` are skipped.

    Raises GramganError for a damaged archive, a member outside the folder, a link or a device, more than 32 GiB of
    content, and if the target exists or can't be written.
    """
    if target.exists():
        raise GramganError(f"{target} already exists.", "Move it away to create it again.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
            content = Path(temporary) / "content"
            content.mkdir()
            _unpack_members(archive, content)
            _without_wrapper(content).rename(target)
    except _DAMAGE as error:
        raise ArchiveDamaged(
            f"{archive} is a damaged archive ({error}).", "Delete it and download it again."
        ) from error
    except OSError as error:
        raise GramganError(f"Can't unpack {archive} to {target}: {error.strerror or error}.") from error
    return target


def _unpack_members(archive: Path, folder: Path) -> None:
    """Write every file of ``archive`` below ``folder``."""
    total = 0
    for name, size, content in _members(archive):
        total += size
        if total > LARGEST_CONTENT:
            raise GramganError(f"{archive} unpacks to more than {LARGEST_CONTENT} bytes, so it was refused.")
        path = folder / _inside(name, archive)
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file)


def _members(archive: Path) -> Iterator[_Member]:
    """Yield the visible files of an archive, in order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as pack:
            for info in pack.infolist():
                if _is_wanted(info.filename) and not info.is_dir():
                    yield info.filename, info.file_size, _open_member(pack, info, archive)
        return
    with _decompressed(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            if member.isdir() or not _is_wanted(member.name):
                continue
            content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
            if content is None:
                raise GramganError(
                    f"{archive} contains '{member.name}', which is not a regular file, so it was refused."
                )
            yield member.name, member.size, content
        _read_to_the_end(stream, archive)


def _open_member(pack: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Path) -> IO[bytes]:
    """Open a zip member for reading, decompressed."""
    if info.flag_bits & ENCRYPTED:
        raise GramganError(f"{archive} is encrypted.", "Unpack it by hand, with its password.")
    try:
        return pack.open(info)
    except (NotImplementedError, RuntimeError) as error:
        raise GramganError(
            f"{archive} compresses '{info.filename}' with an unsupported method.", "Unpack it by hand."
        ) from error


def _decompressed(archive: Path) -> IO[bytes]:
    """Open a tar file for reading, decompressed if it is compressed with gzip, bzip2 or xz."""
    with archive.open("rb") as file:
        start = file.read(6)
    for magic, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open)):
        if start.startswith(magic):
            return cast("IO[bytes]", opened(archive, "rb"))
    return archive.open("rb")


def _read_to_the_end(stream: IO[bytes], archive: Path) -> None:
    """Read on after the end of the tar, because gzip verifies its checksum at the end of the file."""
    left = LARGEST_CONTENT
    while chunk := stream.read(CHUNK):
        left -= len(chunk)
        if left < 0:
            raise GramganError(f"{archive} unpacks to more than {LARGEST_CONTENT} bytes, so it was refused.")


def _is_wanted(name: str) -> bool:
    """Return whether a member is neither hidden nor macOS metadata."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" not in parts and not (parts and parts[-1].startswith("."))


def _inside(name: str, archive: Path) -> PurePosixPath:
    """Return the member's relative path; raise if it would leave the folder on any system."""
    path = PurePosixPath(name)
    if len(path.parts) > DEEPEST:
        raise GramganError(f"{archive} contains folders nested more than {DEEPEST} deep, so it was refused.")
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise GramganError(f"{archive} contains '{name}', which leads outside its folder, so it was refused.")
    return path


def _without_wrapper(folder: Path) -> Path:
    """Return ``folder``, or the only folder in it if there is nothing else, recursively."""
    inside = list(folder.iterdir())
    return _without_wrapper(inside[0]) if len(inside) == 1 and inside[0].is_dir() else folder
