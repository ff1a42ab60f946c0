"""Finding the photos of a batch run, from inputs and manifests, and dividing them into shards."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.locations import LocalPath, Location, is_url, locate
from gramgan_cli.engines.batch.records import read_table
from gramgan_cli.engines.upscale.inputs import Found, Search, find
from gramgan_cli.engines.upscale.plan import Job

MANIFESTS = (".txt", ".jsonl", ".parquet")
"""Endings of manifests: files that list photos."""

NO_SHARD = "is not a valid part"
SHARDS = "For eight parts, use 0/8 to 7/8, or 1/8 to 8/8."


def find_photos(inputs: Sequence[str], search: Search) -> Iterator[Found]:
    """Yield all photos that the inputs name: pictures, folders, globs and manifests, local or at URLs.

    Raises:
        GramganError: an input does not exist or names no picture.
    """
    for text in inputs:
        if is_manifest(text):
            yield from _listed(locate(text))
        else:
            yield from find([text if is_url(text) else locate(text).text], search)


def _listed(manifest: Location) -> Iterator[Found]:
    """Photos of a manifest. Their results mirror the folders below the longest common folder."""
    files = [_entry(entry, manifest) for entry in _entries(manifest)]
    common = _common([file.parts[:-1] for file in files])
    for file in files:
        folder = "/".join(part for part in file.parts[len(common) : -1] if part != "/")
        root = file
        for _ in file.parts[len(common) :]:
            root = root.parent
        below = f"{folder}/{file.name}".lstrip("/") if common else file.text
        yield Found(file.text, root.text if common else "", below, folder, in_folder=False)


def is_manifest(text: str) -> bool:
    """Whether an input is a manifest, by its ending."""
    return PurePosixPath(text).suffix.lower() in MANIFESTS


def of_shard(jobs: Iterable[Job], number: int, count: int) -> list[Job]:
    """Jobs of shard ``number`` of ``count``. A photo's shard depends only on its own name."""
    return [job for job in jobs if _hash(job.key) % count == number % count]


def parse_shard(text: str | None) -> tuple[int, int]:
    """Parse '3/8' into (3, 8), and None into (0, 1), which is everything. Numbers start at 0 or 1: 8/8 is 0/8."""
    if text is None:
        return 0, 1
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise UsageError(f"`shard` '{text}' {NO_SHARD}.", SHARDS)
    check_shard(int(number), int(count))
    return int(number), int(count)


def check_shard(number: int, count: int) -> None:
    """Raise UsageError unless there is a shard ``number`` of ``count``. Numbers start at 0 or 1."""
    if count < 1 or not 0 <= number <= count:
        raise UsageError(f"`shard` '{number}/{count}' {NO_SHARD}.", SHARDS)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big")


def _entries(manifest: Location) -> Iterator[str]:
    """Yield the paths in a manifest."""
    content = manifest.read()
    kind = manifest.suffix.lower()
    if kind == ".parquet":
        paths = _parquet_paths(content, manifest.text)
    else:
        try:
            lines = [line.removesuffix("\r") for line in content.decode("utf-8-sig").split("\n")]
        except UnicodeDecodeError as error:
            raise GramganError(f"{manifest.text} is not UTF-8 text ({error}).") from error
        plain = (line for line in lines if not line.lstrip().startswith("#"))
        paths = _json_paths(lines, manifest.text) if kind == ".jsonl" else plain
    empty = True
    for path in paths:
        if path.strip():
            empty = False
            _check_path(path, manifest.text)
            yield path
    if empty:
        raise GramganError(f"{manifest.text} lists no photos.")


def _check_path(path: str, name: str) -> None:
    """Raise GramganError for a path that no file can have: with a null character, or half of a character."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise GramganError(f"{name} lists {path!r}, which is not valid text.") from error
    if "\0" in path:
        raise GramganError(f"{name} lists {path!r}, which no file can be called.")


def _json_paths(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            path = json.loads(line)["path"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise GramganError(f"Line {number} of {name} is not a JSON object with a 'path'.") from error
        if not isinstance(path, str):
            raise GramganError(f"Line {number} of {name}: 'path' is not text.")
        yield path


def _parquet_paths(content: bytes, name: str) -> Iterator[str]:
    try:
        table = read_table(content)
    except (OSError, ValueError) as error:
        raise GramganError(f"{name} is not a readable Parquet file ({error}).") from error
    if "path" not in table.column_names:
        raise GramganError(f"{name} has no column 'path'.", f"It has: {', '.join(table.column_names)}.")
    for number, path in enumerate(table.column("path").to_pylist()):
        if not isinstance(path, str):
            raise GramganError(f"Row {number} of {name}: 'path' is not text.")
        yield path


def _entry(path: str, manifest: Location) -> Location:
    """Location of a manifest's entry. Relative paths are relative to the manifest's folder."""
    if is_url(path) or Path(path).is_absolute():
        return locate(path)
    return manifest.parent / path if not isinstance(manifest, LocalPath) else locate(str(manifest.parent.path / path))


def _common(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Longest common prefix of the folders."""
    first, last = min(folders), max(folders)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
