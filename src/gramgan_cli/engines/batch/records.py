"""The records of batch runs: a folder of Parquet files with one row per finished or failed photo.

Only complete files are added, so that several runs can write at once while others read. Names that begin with ``_``
are not records; readers of Parquet folders (pyarrow, Spark, DuckDB) also skip them.
Paths are relative, so that photos, results and records can be moved together.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gramgan_cli.core.errors import GramganError, NotARegularFile, RecordsNeedPyarrow
from gramgan_cli.core.io.locations import LocalPath, Location, Missing
from gramgan_cli.engines.upscale.inputs import RECORDS
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.result import Result

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = RECORDS
"""Name of the records folder inside the results folder."""

RUNS = "_runs"
"""Subfolder of the records folder with a JSON file per run: its options."""

LOST = "Delete it. Its results are still recognised by their marks, but their times are lost."


@dataclass(frozen=True)
class Row:
    """Record of one photo: its result, and paths that stay valid if the folders are moved together."""

    job: Job
    result: Result
    output: str | None
    """Path of the result relative to the results folder; None if it failed."""

    def columns(self) -> dict[str, Any]:
        """Values of the row by column, as stored."""
        result = self.result
        sizes = {"input": result.input_size or (None, None), "output": result.output_size or (None, None)}
        found: dict[str, Any] = {
            "key": self.job.key,
            "input": self.job.below,
            "input_root": self.job.root,
            "output": self.output,
            **{f"{kind}_{side}": size[i] for kind, size in sizes.items() for i, side in enumerate(("width", "height"))},
        }
        own = {name: getattr(result, name) for name in schema().names if name not in found}
        own["finished"] = result.finished or datetime.now(UTC)
        names = ("key", "input", "input_root", "output")
        escaped = {name: storable(found[name]) if found[name] is not None else None for name in names}
        return {name: _text(value) for name, value in (found | own).items()} | escaped


def pyarrow_parquet() -> Any:
    """Import pyarrow's Parquet module. Raises RecordsNeedPyarrow if it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise RecordsNeedPyarrow(
            "Records need pyarrow, which is not installed.", "Install it with: pip install pyarrow."
        ) from error
    return pyarrow.parquet


def schema() -> pa.Schema:
    """Columns of the records and their types."""
    import pyarrow as pa

    text, count = pa.string(), pa.int64()
    return pa.schema(
        [
            pa.field("key", text, nullable=False),
            pa.field("input", text, nullable=False),
            ("input_root", text),
            ("output", text),
            ("input_width", count),
            ("input_height", count),
            ("output_width", count),
            ("output_height", count),
            ("frames", count),
            ("input_bytes", count),
            ("output_bytes", count),
            ("input_modified", count),
            ("input_sha256", text),
            ("output_sha256", text),
            ("model", text),
            ("model_sha256", text),
            ("settings", text),
            ("device", text),
            ("backend", text),
            ("tile", pa.int32()),
            ("seconds", pa.float64()),
            ("warnings", pa.list_(text)),
            ("error", text),
            ("tries", pa.int32()),
            ("run", text),
            pa.field("finished", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    )


def check_folder(records: Location) -> None:
    """Raise GramganError if ``records`` exists and is not a folder."""
    if isinstance(records, LocalPath) and not records.path.is_dir() and os.path.lexists(records.path):
        what = "a broken link" if records.path.is_symlink() else "a file"
        raise GramganError(
            f"{records.text} is {what}, but must be the folder of records.", "Delete it, or choose another `output`."
        )


def storable(text: str) -> str:
    """Escape a path to text that Parquet can hold; different paths give different texts.

    Bytes that are not UTF-8 become \\xff, and a backslash is doubled.
    """
    return text.replace("\\", "\\\\").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def restored(text: str) -> str:
    """Inverse of ``storable``."""
    parts = re.split(r"(\\\\|\\x[0-9a-f]{2})", text)
    stored = b"".join(
        b"\\" if part == "\\\\" else bytes.fromhex(part[2:]) if part.startswith("\\x") else part.encode()
        for part in parts
    )
    return stored.decode("utf-8", "surrogateescape")


def _text(value: Any) -> Any:
    """Escape text, or a list of texts, for Parquet; not reversible."""
    if isinstance(value, list):
        return [_text(one) for one in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def encoded(rows: Iterable[Row]) -> bytes:
    """Encode rows as a Parquet file."""
    import pyarrow as pa

    content = io.BytesIO()
    pyarrow_parquet().write_table(pa.Table.from_pylist([row.columns() for row in rows], schema()), content)
    return content.getvalue()


def part_names(folder: Location) -> list[str]:
    """Names of the Parquet files in a records folder."""
    return [file.name for file in folder.files() if file.suffix == ".parquet" and file.name[0] not in "._"]


def read_table(content: bytes) -> pa.Table:
    """Read a Parquet file in this thread, since pyarrow's threads can abort the process if it ends meanwhile."""
    import pyarrow as pa

    return pyarrow_parquet().ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)


def read_part(file: Location, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file of records, or some of its columns. Raises GramganError if it has no records."""
    try:
        content = file.read()
        table = read_table(content)
    except NotARegularFile as error:
        raise GramganError(error.message, LOST) from error
    except (OSError, ValueError) as error:
        raise GramganError(f"{file.text} is not a readable Parquet file ({_first_line(error)}).", LOST) from error
    if missing := [name for name in columns or schema().names if name not in table.column_names]:
        raise GramganError(f"{file.text} contains no records of upscaling: it has no column '{missing[0]}'.", LOST)
    return table.select(list(columns)) if columns else table


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


class MadeWith(NamedTuple):
    """Model and options of results. Results with equal values are identical for the same picture."""

    model: str | None
    """Name of the model; None if the result existed before any run."""
    model_sha256: str | None
    settings: str


class Recorded(NamedTuple):
    """Recorded facts of a result."""

    output: str | None
    """Path relative to the results folder."""
    error: str | None
    finished: datetime
    made_with: MadeWith
    run: str
    root: str
    below: str
    input_bytes: int | None
    input_modified: int | None
    input_sha256: str | None
    output_bytes: int | None
    output_sha256: str | None

    @property
    def source(self) -> str:
        """Path or URL of the photo at the time of the record."""
        return f"{self.root.rstrip('/')}/{self.below}" if self.root else self.below


_VALUES = (
    "output", "error", "finished", "model", "model_sha256", "settings", "run", "input_root", "input", "input_bytes",
    "input_modified", "input_sha256", "output_bytes", "output_sha256",
)  # fmt: skip


class Merged:
    """Merged records of a folder or of Parquet files, by result; ``read`` again adds new files.

    Of several records of a result, successful ones win, then the latest.

    ``seen`` are names of files that ``read`` skips.
    """

    COLUMNS = ("key", *_VALUES)

    def __init__(self, seen: Iterable[str] = ()) -> None:
        self.seen = set(seen)
        self.by_key: dict[str, Recorded] = {}
        self.refused: dict[str, Recorded] = {}
        """Failures of photos whose result path is taken by another photo, by photo."""
        self._kinds: dict[MadeWith, MadeWith] = {}

    def read(self, folder: Location) -> None:
        """Read the files of a records folder that were not read yet; the folder may not exist."""
        for pause in (0.0, 0.05, 0.2, 1.0, None):
            try:
                for name in part_names(folder):
                    if name not in self.seen:
                        self.add(read_part(folder / name, self.COLUMNS))
                        self.seen.add(name)
                return
            except Missing as error:
                # A run that ends merges its files, so list them again. Only a dangling link stays missing.
                if pause is None:
                    raise GramganError(f"{folder.text} contains a broken link: {error.message}", LOST) from error
                time.sleep(pause)

    def add(self, table: pa.Table) -> None:
        """Add the rows of one file."""
        columns = [table.column(name).to_pylist() for name in self.COLUMNS]
        for key, output, error, finished, model, sha256, settings, run, root, below, *facts in zip(
            *columns, strict=True
        ):
            made_with = MadeWith(model, sha256, settings)
            made_with = self._kinds.setdefault(made_with, made_with)
            output = restored(output) if output is not None else None
            new = Recorded(output, error, finished, made_with, run, restored(root or ""), restored(below), *facts)
            name = restored(key)
            self._take(name, new)

    def _take(self, key: str, new: Recorded) -> None:
        known = self.by_key.get(key, new)
        better, worse = known, new
        if (new.error is None, new.finished) >= (known.error is None, known.finished):
            better, worse = new, known
        self.by_key[key] = better
        if worse.error is not None and worse.source != better.source:
            self.refused[worse.source] = worse


class RecordWriter:
    """Writes the rows of a run: one file per flush, merged at the end."""

    def __init__(self, folder: Location, run: str) -> None:
        self._folder, self._run = folder, run
        self._parts: list[str] = []
        self._waiting: list[Row] = []

    def add(self, row: Row) -> None:
        """Add a row, to be written by the next ``flush``."""
        self._waiting.append(row)

    @property
    def waiting(self) -> int:
        """Number of rows that are not written yet."""
        return len(self._waiting)

    def flush(self) -> None:
        """Write all waiting rows as a new file."""
        if not self._waiting:
            return
        name = f"{self._run}-{len(self._parts):06}.parquet"
        (self._folder / name).write(encoded(self._waiting))
        self._parts.append(name)
        self._waiting.clear()

    def close(self) -> None:
        """Flush and merge the run's files. A reader may see rows twice meanwhile, but never misses any."""
        self.flush()
        if len(self._parts) < 2:
            return
        parquet = pyarrow_parquet()
        with tempfile.TemporaryDirectory() as scratch:
            whole = Path(scratch) / "whole.parquet"
            with parquet.ParquetWriter(whole, schema()) as writer:
                for name in self._parts:
                    writer.write_table(read_part(self._folder / name))
            (self._folder / f"{self._run}.parquet").put(whole, replace=True)
        self._folder.remove(self._parts)
        self._parts = [f"{self._run}.parquet"]


def note_run(folder: Location, run: str, facts: dict[str, Any]) -> None:
    """Write the JSON file of a run: its options and, once it has ended, the time."""
    (folder / f"{RUNS}/{run}.json").write(json.dumps(facts, indent=1).encode())


def noted_runs(folder: Location) -> Iterator[dict[str, Any]]:
    """Yield the facts of all runs of a records folder, oldest first."""
    for file in (folder / RUNS).files():
        if file.suffix != ".json" or file.name.startswith("."):  # unfinished files
            continue
        hint = "Delete it: it only records a run's options, from which reports count the photos left."
        try:
            facts = json.loads(file.read())
        except Missing as error:
            raise GramganError(f"{file.text} is a broken link.", hint) from error
        except (ValueError, RecursionError) as error:
            raise GramganError(f"{file.text} is damaged.", hint) from error
        if not isinstance(facts, dict) or any(not isinstance(facts.get(name), kind) for name, kind in FACTS.items()):
            raise GramganError(f"{file.text} is damaged.", hint)
        yield facts


FACTS: dict[str, type] = {"run": str, "photos": int, "shard": str, "inputs": list, "output": str}
"""Required keys of a run's JSON file, and their types."""
