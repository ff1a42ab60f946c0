"""Report over the records of batch runs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import Location, is_url, locate
from gramgan_cli.engines.batch.records import FOLDER, RUNS, Merged, Recorded, noted_runs, part_names, read_part


@dataclass(frozen=True)
class Failure:
    """A failed photo."""

    input: str
    error: str


@dataclass(frozen=True)
class Report:
    """Summary of records."""

    photos: int | None
    """Total number of photos, as counted by the latest runs; None if only single record files were given."""
    done: int
    failures: tuple[Failure, ...]
    models: tuple[str, ...]
    """Models of the results; 'unknown' for results that existed before any run."""

    @property
    def left(self) -> int:
        """Number of photos without a record."""
        return max(0, (self.photos or 0) - self.done - len(self.failures))


def make_report(manifests: Sequence[str]) -> Report:
    """Make a report over records.

    Args:
        manifests: Parquet files of records, records folders, or results folders with records inside; paths or URLs. A
            photo with several records counts once, as done if any of them is.

    Raises GramganError if a location does not exist or has no records.
    """
    merged = Merged()
    totals: dict[str, list[dict[str, Any]]] = {}
    for text in manifests:
        where = locate(text)
        if PurePosixPath(text).suffix == ".parquet" and not where.is_folder():
            merged.add(read_part(where, Merged.COLUMNS))
            continue
        folder = _records_in(where, text)
        merged.read(folder)
        for run in noted_runs(folder):
            _count(totals.setdefault(f"{folder.text} {run['output']}", []), run)
    known = _by_photo(merged)
    failures = tuple(Failure(row.source, row.error) for row in known if row.error)
    models = sorted({row.made_with.model or "unknown" for row in known if row.error is None})
    photos = sum(int(run["photos"]) for runs in totals.values() for run in runs)
    failures = tuple(sorted(failures, key=lambda failure: failure.input))
    return Report(photos if totals else None, len(known) - len(failures), failures, tuple(models))


def _by_photo(merged: Merged) -> list[Recorded]:
    """One record per photo, which may have several results; successful ones are preferred."""
    photos: dict[str, Recorded] = {}
    for row in merged.by_key.values():
        before = photos.get(row.source)
        if before is None or (row.error is None, row.finished) > (before.error is None, before.finished):
            photos[row.source] = row
    for row in merged.refused.values():
        if row.source not in photos and _are_here([row.source]):  # otherwise it was moved, along with its record
            photos[row.source] = row
    return list(photos.values())


def _count(runs: list[dict[str, Any]], run: dict[str, Any]) -> None:
    """Add a run's photo count. It replaces earlier runs over a part of its inputs, or over inputs that were moved."""
    inputs = set(run["inputs"])
    here = _are_here(inputs)
    runs[:] = [
        earlier
        for earlier in runs
        if not set(earlier["inputs"]) <= inputs
        and earlier.get("digest", 1) != run.get("digest", 2)
        and not (here and not _are_here(earlier["inputs"]))
    ]
    runs.append(run)


def _are_here(inputs: Iterable[str]) -> bool:
    """Whether any of the inputs still exists; URLs and globs always count as existing."""
    return any(is_url(text) or glob.has_magic(text) or Path(text).exists() for text in inputs)


def _records_in(where: Location, text: str) -> Location:
    """The records folder at, or inside, a location that the user gave."""
    for folder in (where / FOLDER, where):
        if part_names(folder) or (folder / RUNS).is_folder():
            return folder
    raise GramganError(f"There are no records in {text}.", "Pass the folder of results, or a Parquet file of records.")
