"""What the records of an archive say when they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import Place, place
from gramgan_cli.engines.batch.records import FOLDER, RUNS, Merged, noted_runs, part_names, read_part


@dataclass(frozen=True)
class Failure:
    """A photo that has no result."""

    input: str
    error: str


@dataclass(frozen=True)
class Report:
    """An archive's state."""

    photos: int | None
    """How many there are, as the latest runs counted them; None where only single record files were named."""
    done: int
    failures: tuple[Failure, ...]
    models: tuple[str, ...]
    """What the results were made with; 'unknown' for those that were there before."""

    @property
    def left(self) -> int:
        """Photos that no record speaks of yet."""
        return max(0, (self.photos or 0) - self.done - len(self.failures))


def make_report(manifests: Sequence[str]) -> Report:
    """Put records together.

    Args:
        manifests: Parquet files of records, folders of them, or folders of results with their records inside; paths or
            addresses. A photo that several speak of counts once: done if any says so.

    Raises GramganError where something is not there or holds no records.
    """
    merged = Merged()
    totals: dict[str, dict[frozenset[str], int]] = {}
    for text in manifests:
        where = place(text)
        if PurePosixPath(text).suffix == ".parquet" and not where.is_folder():
            merged.add(read_part(where, Merged.COLUMNS))
            continue
        folder = _records_in(where, text)
        merged.read(folder)
        for run in noted_runs(folder):
            _count(totals.setdefault(run["output"], {}), frozenset(run["inputs"]), int(run["photos"]))
    known = merged.by_input
    failures = tuple(
        Failure(name, row.error) for name, row in sorted(known.items(), key=lambda item: item[0]) if row.error
    )
    models = sorted({row.work.model or "unknown" for row in known.values() if row.error is None})
    photos = sum(sum(of.values()) for of in totals.values())
    return Report(photos if totals else None, len(known) - len(failures), failures, tuple(models))


def _count(photos_of: dict[frozenset[str], int], inputs: frozenset[str], photos: int) -> None:
    """Note how many photos a run's inputs hold; it stands for the earlier runs over some of these inputs or all."""
    for earlier in [one for one in photos_of if one <= inputs]:
        del photos_of[earlier]
    photos_of[inputs] = photos


def _records_in(where: Place, text: str) -> Place:
    """The folder of records that a person means."""
    for folder in (where / FOLDER, where):
        if part_names(folder) or (folder / RUNS).is_folder():
            return folder
    raise GramganError(f"There are no records in {text}.", "Name the folder of results, or a Parquet file of records.")
