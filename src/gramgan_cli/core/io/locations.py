"""Files by location: a local path, or any URL that fsspec supports (``s3://``, ``gs://``, ``az://``, ...).

Storage libraries raise errors of their own types. They are converted to ``GramganError`` with the location's name.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from gramgan_cli.core.errors import GramganError, MissingExtra, NotARegularFile, TargetExists
from gramgan_cli.core.io.files import replacing

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "abfs", "abfs": "abfs", "abfss": "abfs"}
"""Protocol -> the extra that installs its library, named as in fsspec."""


def is_url(text: str) -> bool:
    """Return whether ``text`` is a URL with a protocol rather than a local path."""
    return "://" in text and not text.startswith(("file://", "local://"))


def locate(text: str) -> Location:
    """Return the location of a path or URL, without opening it.

    Raises GramganError if the protocol is unknown or its library is not installed.
    """
    if not is_url(text):
        return LocalPath(Path(os.path.abspath(text.removeprefix("file://").removeprefix("local://"))))  # noqa: PTH100
    import fsspec

    protocol = text.partition("://")[0].rpartition("::")[2]
    try:
        # No cached listings, because other processes may write there at any time.
        files, path = fsspec.core.url_to_fs(text, use_listings_cache=False)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        what = f"{text} needs a library that is not installed."
        raise (MissingExtra(what, extra) if extra else GramganError(what, str(error))) from error
    except ValueError as error:
        raise GramganError(f"{text} can't be opened: {error}.") from error
    return RemoteLocation(files, path, text.partition("::")[2])


class Location(ABC):
    """A file or folder, which may not exist."""

    text: str
    """Path or URL for messages."""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Path components, starting at the root."""

    @property
    def name(self) -> str:
        """The last path component."""
        return self.text.partition("::")[0].rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The name's suffix with its dot, or an empty string."""
        return PurePosixPath(self.name).suffix

    @abstractmethod
    def __truediv__(self, relative: str) -> Location:
        """Return the location at a relative path, with ``/`` as separator."""

    @property
    @abstractmethod
    def parent(self) -> Location:
        """The parent folder."""

    @abstractmethod
    def read(self) -> bytes:
        """Return the whole content."""

    @abstractmethod
    def write(self, content: bytes) -> None:
        """Write ``content`` atomically, replacing an existing file."""

    @abstractmethod
    def put(self, file: Path, replace: bool) -> None:
        """Copy a local file to this location; raise ``TargetExists`` if it exists and ``replace`` is off."""

    @abstractmethod
    def create(self, content: bytes) -> bool:
        """Write ``content`` unless the file exists. Of concurrent callers exactly one gets True."""

    @abstractmethod
    def exists(self) -> bool:
        """Return whether the file or folder exists."""

    @abstractmethod
    def is_folder(self) -> bool:
        """Return whether the folder exists."""

    @abstractmethod
    def files(self, recursive: bool = False) -> list[Location]:
        """Return the files inside, including hidden ones and broken links, sorted; empty if there is no folder."""

    @abstractmethod
    def matches(self) -> list[Location]:
        """Return the files that match the location as a glob pattern, sorted."""

    @abstractmethod
    def remove(self, names: Iterable[str]) -> None:
        """Delete files of this folder by name, ignoring those that do not exist."""


class LocalPath(Location):
    """A local path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = str(path)

    @property
    def parts(self) -> tuple[str, ...]:
        """See Location. A drive is a component like any other."""
        first, *names = self.path.parts
        return (first.strip("/\\:") or "/", *names)

    @property
    def name(self) -> str:
        """See Location."""
        return self.path.name

    def __truediv__(self, relative: str) -> LocalPath:
        return LocalPath(self.path / relative) if relative else self

    @property
    def parent(self) -> LocalPath:
        """The parent folder."""
        return LocalPath(self.path.parent)

    def read(self) -> bytes:
        """Return the whole content."""
        with _storage_errors("read", self.text):
            # O_NONBLOCK, because opening a pipe would wait for ever. The open file is checked, so it can't be swapped.
            handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise NotARegularFile(f"{self.text} is not a regular file.", "Leave it out.")
                return file.read()

    def write(self, content: bytes) -> None:
        """See Location."""
        with replacing(self.path) as temporary:
            temporary.write_bytes(content)

    def put(self, file: Path, replace: bool) -> None:
        """See Location."""
        if not replace and self.path.exists():
            raise TargetExists(f"{self.text} already exists.")
        self.write(file.read_bytes())

    def create(self, content: bytes) -> bool:
        """See Location."""
        with _storage_errors("write", self.text):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self.path.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                return False
        return True

    def exists(self) -> bool:
        """Return whether the file or folder exists."""
        return self.path.exists()

    def is_folder(self) -> bool:
        """Return whether the folder exists."""
        return self.path.is_dir()

    def files(self, recursive: bool = False) -> list[Location]:
        """See Location. Links to folders are not followed."""
        with _storage_errors("read the folder", self.text):
            return [LocalPath(path) for path in _files_below(self.path, recursive)] if self.path.is_dir() else []

    def matches(self) -> list[Location]:
        """See Location."""
        import glob

        return [LocalPath(path) for path in map(Path, sorted(glob.glob(self.text, recursive=True))) if path.is_file()]  # noqa: PTH207

    def remove(self, names: Iterable[str]) -> None:
        """See Location."""
        with _storage_errors("delete from", self.text):
            for name in names:
                (self.path / name).unlink(missing_ok=True)


class RemoteLocation(Location):
    """A location that fsspec opens."""

    def __init__(self, files: Any, path: str, outer: str = "") -> None:
        self._files, self._path, self._outer = files, path.rstrip("/"), outer
        self.text = files.unstrip_protocol(self._path) + (f"::{outer}" if outer else "")

    @property
    def parts(self) -> tuple[str, ...]:
        """See Location. The first component is the protocol."""
        protocol = self._files.protocol if isinstance(self._files.protocol, str) else self._files.protocol[0]
        return (protocol, *(part for part in self._path.split("/") if part))

    def __truediv__(self, relative: str) -> RemoteLocation:
        return self._at(f"{self._path}/{relative}") if relative else self

    def _at(self, path: str) -> RemoteLocation:
        return RemoteLocation(self._files, path, self._outer)

    @property
    def parent(self) -> RemoteLocation:
        """The parent folder."""
        return self._at(self._path.rpartition("/")[0])

    def read(self) -> bytes:
        """Return the whole content."""
        with _storage_errors("read", self.text):
            content: bytes = self._files.cat_file(self._path)
            return content

    def write(self, content: bytes) -> None:
        """See Location."""
        with _storage_errors("write", self.text):
            self._files.pipe_file(self._path, content)

    def put(self, file: Path, replace: bool) -> None:
        """See Location."""
        if replace:
            with _storage_errors("write", self.text):
                self._files.put_file(str(file), self._path)
        elif not self.create(file.read_bytes()):
            raise TargetExists(f"{self.text} already exists.")

    def create(self, content: bytes) -> bool:
        """See Location."""
        with _storage_errors("write", self.text):
            try:
                self._files.pipe_file(self._path, content, mode="create")
            except FileExistsError:
                return False
        return True

    def exists(self) -> bool:
        """Return whether the file or folder exists."""
        with _storage_errors("look for", self.text):
            return bool(self._files.exists(self._path))

    def is_folder(self) -> bool:
        """Return whether the folder exists."""
        with _storage_errors("look for", self.text):
            return bool(self._files.isdir(self._path))

    def files(self, recursive: bool = False) -> list[Location]:
        """See Location."""
        with _storage_errors("list", self.text):
            try:
                found = self._files.find(self._path, maxdepth=None if recursive else 1)
            except FileNotFoundError:
                return []
            return [self._at(path) for path in sorted(found) if path.rstrip("/") != self._path]

    def matches(self) -> list[Location]:
        """See Location."""
        with _storage_errors("list", self.text):
            return [self._at(path) for path in sorted(self._files.glob(self._path))]

    def remove(self, names: Iterable[str]) -> None:
        """See Location."""
        paths = [f"{self._path}/{name}" for name in names]
        with _storage_errors("delete from", self.text):
            if paths:
                try:
                    self._files.rm(paths)
                except FileNotFoundError:
                    # Some stores stop at the first missing file; the others must still be deleted.
                    for path in paths:
                        if self._files.exists(path):
                            self._files.rm_file(path)


def _files_below(folder: Path, recursive: bool) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            yield entry
        elif recursive and not entry.is_symlink():
            yield from _files_below(entry, recursive)


class Missing(GramganError):
    """There is no such file."""


@contextmanager
def _storage_errors(verb: str, text: str) -> Iterator[None]:
    """Convert any storage library's errors to ``GramganError``; they share no base class."""
    try:
        yield
    except GramganError:
        raise
    except FileNotFoundError as error:
        raise Missing(f"There is no file {text}.") from error
    except OSError as error:
        raise GramganError(f"Can't {verb} {text}: {error.strerror or error}.") from error
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise GramganError(f"Can't {verb} {text}: {message}.") from error
