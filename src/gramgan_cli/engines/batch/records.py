"""The records of batch runs: a folder of Parquet files, one row for every photo that a run is done with.

Only whole files are ever added, so that several runs can write beside each other and anybody can read meanwhile.
Names that begin with ``_`` are not records; readers of Parquet folders (pyarrow, Spark, DuckDB) leave them out too.
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

from gramgan_cli.core.errors import GramganError, NotARegularFile
from gramgan_cli.core.io.locations import LocalPath, Location, Missing
from gramgan_cli.engines.upscale.inputs import RECORDS
from gramgan_cli.engines.upscale.plan import Job
from gramgan_cli.engines.upscale.result import Result

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = RECORDS
"""Name of the folder of records inside the folder of results."""

RUNS = "_runs"
"""Folder inside it with a JSON file per run: what it was asked."""

LOST = "Delete it: results that it recorded are known by their marks, their times are lost."


@dataclass(frozen=True)
class Row:
    """One photo's record: its result, and what it is known by wherever the folders are moved."""

    job: Job
    result: Result
    output: str | None
    """Path of the result relative to the folder of results; None where it failed."""

    def columns(self) -> dict[str, Any]:
        """The row as it is stored."""
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
    """pyarrow's Parquet module; a clear error where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise GramganError(
            "Records are Parquet files, and pyarrow, which writes them, is not installed.",
            "Install it: pip install pyarrow, or go without records: --no-records.",
        ) from error
    return pyarrow.parquet


def schema() -> pa.Schema:
    """Columns and their types."""
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
    """Raise GramganError where something else than a folder has the name of the records."""
    if isinstance(records, LocalPath) and not records.path.is_dir() and os.path.lexists(records.path):
        what = "a link to nothing" if records.path.is_symlink() else "a file"
        raise GramganError(
            f"{records.text} is {what}, where the folder of records should be.", "Delete it, or name another --output."
        )


def storable(text: str) -> str:
    """Each path as another text that Parquet can hold.

    Bytes that are no UTF-8 are written out as \\xff, and a backslash twice.
    """
    return text.replace("\\", "\\\\").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def restored(text: str) -> str:
    """The path that ``storable`` was given."""
    parts = re.split(r"(\\\\|\\x[0-9a-f]{2})", text)
    stored = b"".join(
        b"\\" if part == "\\\\" else bytes.fromhex(part[2:]) if part.startswith("\\x") else part.encode()
        for part in parts
    )
    return stored.decode("utf-8", "surrogateescape")


def _text(value: Any) -> Any:
    """Texts for people as Parquet can hold them."""
    if isinstance(value, list):
        return [_text(one) for one in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def encoded(rows: Iterable[Row]) -> bytes:
    """The rows as a Parquet file."""
    import pyarrow as pa

    content = io.BytesIO()
    pyarrow_parquet().write_table(pa.Table.from_pylist([row.columns() for row in rows], schema()), content)
    return content.getvalue()


def part_names(folder: Location) -> list[str]:
    """The Parquet files of a folder of records."""
    return [file.name for file in folder.files() if file.suffix == ".parquet" and file.name[0] not in "._"]


def read_table(content: bytes) -> pa.Table:
    """A Parquet file's table, read in this thread: pyarrow's own may still run when the process ends, and abort it."""
    import pyarrow as pa

    return pyarrow_parquet().ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)


def read_part(file: Location, columns: Sequence[str] | None = None) -> pa.Table:
    """One Parquet file of records (or of these columns of them). A file that holds none is an error that names it."""
    try:
        content = file.read()
        table = read_table(content)
    except NotARegularFile as error:
        raise GramganError(error.message, LOST) from error
    except (OSError, ValueError) as error:
        raise GramganError(f"{file.text} is not a readable Parquet file ({_first_line(error)}).", LOST) from error
    if missing := [name for name in columns or schema().names if name not in table.column_names]:
        raise GramganError(f"{file.text} holds no records of upscaling: it has no column '{missing[0]}'.", LOST)
    return table.select(list(columns)) if columns else table


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


class MadeWith(NamedTuple):
    """What results are made with: those of equal values are equal for one picture."""

    model: str | None
    """None where the result was there before any run."""
    model_sha256: str | None
    settings: str


class Recorded(NamedTuple):
    """What the records say of a result."""

    output: str | None
    """Relative to the folder of results."""
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
        """The photo, as far as it is where it was."""
        return f"{self.root.rstrip('/')}/{self.below}" if self.root else self.below


_VALUES = (
    "output", "error", "finished", "model", "model_sha256", "settings", "run", "input_root", "input", "input_bytes",
    "input_modified", "input_sha256", "output_bytes", "output_sha256",
)  # fmt: skip


class Merged:
    """All that a folder of records (or some Parquet files) says of each result, read again as files are added.

    Of several records of one result one that says it is done wins, then the latest.

    ``seen`` are names of files that ``read`` leaves out.
    """

    COLUMNS = ("key", *_VALUES)

    def __init__(self, seen: Iterable[str] = ()) -> None:
        self.seen = set(seen)
        self.by_key: dict[str, Recorded] = {}
        self.refused: dict[str, Recorded] = {}
        """Failures of photos whose result would be that of another, by photo."""
        self._kinds: dict[MadeWith, MadeWith] = {}

    def read(self, folder: Location) -> None:
        """Read what a folder of records holds and was not read yet; the folder need not be there."""
        for pause in (0.0, 0.05, 0.2, 1.0, None):
            try:
                for name in part_names(folder):
                    if name not in self.seen:
                        self.add(read_part(folder / name, self.COLUMNS))
                        self.seen.add(name)
                return
            except Missing as error:
                # A run that ends puts its files together into one: look again. A link to nothing stays.
                if pause is None:
                    raise GramganError(f"{folder.text} holds a link to nothing: {error.message}", LOST) from error
                time.sleep(pause)

    def add(self, table: pa.Table) -> None:
        """Take the rows of one file in."""
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
    """Writes one run's rows: a new file now and then, put together at the end."""

    def __init__(self, folder: Location, run: str) -> None:
        self._folder, self._run = folder, run
        self._parts: list[str] = []
        self._waiting: list[Row] = []

    def add(self, row: Row) -> None:
        """Take a row; it is safe after the next ``flush``."""
        self._waiting.append(row)

    @property
    def waiting(self) -> int:
        """Rows that are not safe yet."""
        return len(self._waiting)

    def flush(self) -> None:
        """Write all rows that wait."""
        if not self._waiting:
            return
        name = f"{self._run}-{len(self._parts):06}.parquet"
        (self._folder / name).write(encoded(self._waiting))
        self._parts.append(name)
        self._waiting.clear()

    def close(self) -> None:
        """Write what waits and put the run's files together; a reader may see rows twice meanwhile, never none."""
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
    """Write down what a run was asked, and, once it is through, when that was."""
    (folder / f"{RUNS}/{run}.json").write(json.dumps(facts, indent=1).encode())


def noted_runs(folder: Location) -> Iterator[dict[str, Any]]:
    """What the runs of a folder of records were asked, oldest first."""
    for file in (folder / RUNS).files():
        if file.suffix != ".json" or file.name.startswith("."):  # being written, or left over
            continue
        hint = "Delete it: it only says what a run was asked, so that reports know how many photos are left."
        try:
            facts = json.loads(file.read())
        except Missing as error:
            raise GramganError(f"{file.text} is a link to nothing.", hint) from error
        except (ValueError, RecursionError) as error:
            raise GramganError(f"{file.text} is damaged.", hint) from error
        if not isinstance(facts, dict) or any(not isinstance(facts.get(name), kind) for name, kind in FACTS.items()):
            raise GramganError(f"{file.text} is damaged.", hint)
        yield facts


FACTS: dict[str, type] = {"run": str, "photos": int, "shard": str, "inputs": list, "output": str}
"""What every note of a run says, and as what."""
