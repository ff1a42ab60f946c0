"""Finding the pictures of a run's inputs: files, folders and globs, local or at URLs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.capabilities import READ_SUFFIXES
from gramgan_cli.core.images.kinds import JPEG_ENDINGS, kind_by_suffix, kind_of
from gramgan_cli.core.io.locations import LocalPath, Location, is_url, locate

STANDARD = "-"
"""Name of standard input and output."""

RECORDS = ".gramgan-results"
"""Name of the records folder inside a results folder."""


@dataclass(frozen=True)
class Found:
    """A picture found from an input."""

    source: str
    """Its path (relative if the input was), URL or ``STANDARD``."""
    root: str
    """Folder that ``below`` is relative to; empty if there is none."""
    below: str
    """Path relative to ``root``, with ``/`` as separator, by which records identify the picture."""
    folder: str
    """Folder of its result, relative to the results folder, with ``/`` as separator."""
    in_folder: bool
    """Whether it was found by listing a folder instead of being named itself."""


@dataclass(frozen=True)
class Search:
    """Options and callbacks of a search for pictures."""

    recursive: bool
    output: str | None
    """Results folder, which is skipped if it lies inside a searched folder."""
    on_unreadable: Callable[[str, str], None] = lambda _folder, _message: None
    """Called with a subfolder that can't be read, and an error message."""
    on_records: Callable[[str], None] = lambda _folder: None
    """Called with a searched folder that holds records of an earlier run."""
    on_foreign: Callable[[str, str], None] = lambda _path, _kind: None
    """Called with a picture in an unsupported format, and the format's name."""


def find(inputs: Iterable[str], search: Search) -> Iterator[Found]:
    """Yield each picture that the inputs name, once.

    Args:
        inputs: paths, globs, URLs, or ``STANDARD``.
        search: options and callbacks.

    Raises:
        GramganError: an input does not exist or contains no picture.
    """
    seen: set[str] = set()
    for text in inputs:
        for found in _expanded(text, search):
            key = found.source if found.source == STANDARD or is_url(found.source) else _absolute(found.source)
            if key not in seen:
                seen.add(key)
                yield found


def named(source: str) -> Found:
    """A picture that the user named itself."""
    if is_url(source):
        where = locate(source)
        return Found(source, where.parent.text, where.name, "", in_folder=False)
    path = Path(source)
    return Found(source, str(path.parent), path.name, "", in_folder=False)


def _inside(source: str, root: str, below: str) -> Found:
    return Found(source, root, below, below.rpartition("/")[0], in_folder=True)


def _no_picture(folder: str, search: Search) -> GramganError:
    hint = "Choose another folder." if search.recursive else "Use `recursive` to include the folders inside it."
    return GramganError(f"There are no photos in the folder {folder}.", hint)


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100


def _expanded(text: str, search: Search) -> Iterator[Found]:
    if not text:
        raise UsageError("An input has an empty name.", "Check whether a shell variable is unset.")
    if is_url(text):
        yield from _elsewhere(text, search)
        return
    path = Path(text)
    if text == STANDARD:
        yield Found(STANDARD, "", STANDARD, "", in_folder=False)
    elif path.is_file():
        yield named(str(path))
    elif path.is_dir():
        inside = [_inside(str(one), str(path), one.relative_to(path).as_posix()) for one in _pictures(path, search)]
        if not inside:
            raise _no_picture(str(path), search)
        yield from inside
    elif matches := [match for match in sorted(glob.glob(text, recursive=True)) if Path(match).is_file()]:  # noqa: PTH207
        yield from map(named, matches)
    elif path.is_symlink() or path.exists():
        what, hint = ("neither a file nor a folder", "Pipe it in, with - as its name.")
        if not path.exists():
            what, hint = "a broken link", "Pass the file itself."
        raise GramganError(f"{path} is {what}.", hint)
    else:
        raise GramganError(f"There is no file or folder {text}.", "Check the name; quote it if it has spaces.")


def _pictures(folder: Path, search: Search, top: bool = True) -> Iterator[Path]:
    """Picture files of a folder. Hidden entries are skipped; links to folders are not followed."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        message = f"Can't read the folder {folder}: {error.strerror or error}."
        if top:
            raise GramganError(message, "Pass the other folders one by one.") from error
        search.on_unreadable(str(folder), message)
        return
    for entry in entries:
        if entry.name == RECORDS:
            search.on_records(str(folder))
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if search.recursive and not entry.is_symlink() and not _is_output(entry, search):
                yield from _pictures(entry, search, top=False)
        elif entry.suffix.lower() in READ_SUFFIXES:
            yield entry
        elif entry.is_file() and (kind := kind_of(entry)):
            if kind.name == "jpg" and re.fullmatch(JPEG_ENDINGS, entry.suffix.lower()):
                yield entry
            else:
                search.on_foreign(str(entry), f"{kind.label} with an unusual name" if kind.read else kind.label)


def _is_output(folder: Path, search: Search) -> bool:
    if search.output is None or is_url(search.output):
        return False
    output = Path(search.output)
    return output.is_dir() and output.samefile(folder)


def _elsewhere(text: str, search: Search) -> Iterator[Found]:
    """Pictures that a URL names: a file, a folder or a glob."""
    where = locate(text)
    if where.is_folder():
        output = locate(search.output) if search.output else None
        visible = [file for file in where.files(search.recursive) if _is_visible(file, where, output)]
        inside = [file for file in visible if file.suffix.lower() in READ_SUFFIXES]
        for file in visible:
            if kind := kind_by_suffix(file.suffix):
                search.on_foreign(file.text, kind.label)
        if not inside:
            raise _no_picture(where.text, search)
        for file in inside:
            yield _inside(file.text, where.text, "/".join(file.parts[len(where.parts) :]))
    elif where.exists():
        yield named(where.text)
    elif matches := where.matches():
        yield from (named(match.text) for match in matches)
    else:
        raise GramganError(f"There is no file or folder {where.text}.", "Check the name.")


def _is_visible(file: Location, folder: Location, output: Location | None) -> bool:
    """Whether a file is neither hidden nor in the results folder."""
    below = file.parts[len(folder.parts) :]
    hidden = any(part.startswith(".") for part in below)
    if output is not None and not isinstance(output, LocalPath) and len(output.parts) > len(folder.parts):
        hidden = hidden or file.parts[: len(output.parts)] == output.parts
    return not hidden
