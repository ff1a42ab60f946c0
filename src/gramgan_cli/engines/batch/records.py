"""The records of archive runs: a folder of Parquet files, one row for every photo that a run is done with.

Only whole files are ever added, so that several runs can write beside each other and anybody can read meanwhile.
Names that begin with ``_`` are not records; readers of Parquet folders (pyarrow, Spark, DuckDB) leave them out too.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gramgan_cli.core.errors import GramganError, MissingExtra
from gramgan_cli.core.io.locations import Missing, Place

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = ".gramgan-results"
"""Name of the folder of records inside the folder of results."""

RUNS = "_runs"
"""Folder inside it with a JSON file per run: what it was asked."""


@dataclass
class Row:
    """What became of one photo."""

    input: str
    """Path or address."""
    output: str | None = None
    """Path or address; None where it failed."""
    input_width: int | None = None
    """Pixels, upright; of the first frame or page."""
    input_height: int | None = None
    output_width: int | None = None
    output_height: int | None = None
    frames: int | None = None
    """Frames of an animation or pages, 1 for most; None where the result was there already."""
    input_bytes: int | None = None
    output_bytes: int | None = None
    input_sha256: str | None = None
    output_sha256: str | None = None
    model: str | None = None
    """None where the result was there before any run."""
    model_sha256: str | None = None
    """Of the weights file; None for interpolations."""
    settings: str = ""
    """JSON: what else decides how the result looks."""
    device: str = ""
    backend: str = ""
    tile: int = 0
    seconds: float | None = None
    """From decoded input to encoded output; None where an interrupted run had written the result."""
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    """One sentence; None where all went well."""
    tries: int = 1
    run: str = ""
    finished: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self.error is None


def pyarrow_parquet() -> Any:
    """pyarrow's Parquet module; a clear error where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        what = "Records are Parquet files, and pyarrow, which writes them, is not installed."
        raise MissingExtra(what, "archive") from error
    return pyarrow.parquet


def schema() -> pa.Schema:
    """Columns and their types."""
    import pyarrow as pa

    text, count = pa.string(), pa.int64()
    return pa.schema(
        [
            pa.field("input", text, nullable=False),
            ("output", text),
            ("input_width", count),
            ("input_height", count),
            ("output_width", count),
            ("output_height", count),
            ("frames", count),
            ("input_bytes", count),
            ("output_bytes", count),
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


def storable(text: str) -> str:
    """``text`` as Parquet can hold it: bytes of file names that are no UTF-8 are written out as \\xff."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def encoded(rows: Iterable[Row]) -> bytes:
    """The rows as a Parquet file."""
    import pyarrow as pa

    content = io.BytesIO()
    table = [{name: _storable(value) for name, value in asdict(row).items()} for row in rows]
    pyarrow_parquet().write_table(pa.Table.from_pylist(table, schema()), content)
    return content.getvalue()


def _storable(value: Any) -> Any:
    if isinstance(value, list):
        return [storable(text) for text in value]
    return storable(value) if isinstance(value, str) else value


def part_names(folder: Place) -> list[str]:
    """The Parquet files of a folder of records."""
    return [file.name for file in folder.files() if file.suffix == ".parquet" and file.name[0] not in "._"]


def read_table(content: bytes) -> pa.Table:
    """A Parquet file's table, read in this thread: pyarrow's own may still run when the process ends, and abort it."""
    import pyarrow as pa

    return pyarrow_parquet().ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)


def read_part(file: Place, columns: Sequence[str] | None = None) -> pa.Table:
    """One Parquet file of records (or of these columns of them). A file that holds none is an error that names it."""
    content = file.read()
    try:
        table = read_table(content)
    except (OSError, ValueError) as error:
        raise GramganError(f"{file.text} is not a readable Parquet file ({error}).") from error
    if missing := [name for name in columns or schema().names if name not in table.column_names]:
        raise GramganError(f"{file.text} holds no records of upscaling: it has no column '{missing[0]}'.")
    return table.select(list(columns)) if columns else table


class Work(NamedTuple):
    """What results are made with: those of equal work are equal."""

    model: str | None
    """None where the result was there before any run."""
    model_sha256: str | None
    settings: str


class Known(NamedTuple):
    """What the records say of a photo."""

    output: str | None
    error: str | None
    finished: datetime
    work: Work
    run: str


class Merged:
    """All that a folder of records (or some Parquet files) says of each photo, read again as files are added.

    Of several records of one photo one that says it is done wins, then the latest.

    ``seen`` are names of files that ``read`` leaves out.
    """

    COLUMNS = ("input", "output", "model", "model_sha256", "settings", "error", "finished", "run")

    def __init__(self, seen: Iterable[str] = ()) -> None:
        self.seen = set(seen)
        self.by_input: dict[str, Known] = {}
        self._works: dict[Work, Work] = {}

    def read(self, folder: Place) -> None:
        """Read what a folder of records holds and was not read yet; the folder need not be there."""
        while True:
            try:
                for name in part_names(folder):
                    if name not in self.seen:
                        self.add(read_part(folder / name, self.COLUMNS))
                        self.seen.add(name)
                return
            except Missing:
                # A run that ends puts its files together into one: look again.
                continue

    def add(self, table: pa.Table) -> None:
        """Take the rows of one file in."""
        columns = [table.column(name).to_pylist() for name in self.COLUMNS]
        for photo, output, model, sha256, settings, error, finished, run in zip(*columns, strict=True):
            work = Work(model, sha256, settings)
            new = Known(output, error, finished, self._works.setdefault(work, work), run)
            known = self.by_input.get(photo)
            if known is None or (new.error is None, new.finished) > (known.error is None, known.finished):
                self.by_input[photo] = new


class Ledger:
    """Writes one run's rows: a new file now and then, put together at the end."""

    def __init__(self, folder: Place, run: str) -> None:
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


def note_run(folder: Place, run: str, facts: dict[str, Any]) -> None:
    """Write down what a run was asked, and, once it is through, when that was."""
    (folder / f"{RUNS}/{run}.json").write(json.dumps(facts, indent=1).encode())


def noted_runs(folder: Place) -> Iterator[dict[str, Any]]:
    """What the runs of a folder of records were asked, oldest first."""
    for file in (folder / RUNS).files():
        if file.suffix == ".json" and not file.name.startswith("."):  # others are being written, or were left over
            yield json.loads(file.read())
