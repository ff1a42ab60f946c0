"""``gramgan upscale`` over an archive: what is asked, and what is shown while and after it runs."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn

from gramgan_cli.cli import output as out
from gramgan_cli.cli.upscale_lines import enlarged, summarise, there_already
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.images.formats.capabilities import format_of_suffix

if TYPE_CHECKING:
    from gramgan_cli.engines.batch.records import Row
    from gramgan_cli.engines.batch.run import Counts, Engine, Run
    from gramgan_cli.engines.upscale.options import UpscaleOptions

LINE_EVERY = 30.0
"""Seconds between two lines of progress where standard error is no terminal (logs of batch systems)."""


@dataclass(frozen=True)
class Wish:
    """What an archive run is about."""

    inputs: tuple[str, ...]
    output: str
    results: str | None
    shard: tuple[int, int]
    engine: Literal["local", "ray"]
    plain: bool
    """Whether nothing in the call speaks of an archive: it is a folder, and told of as single pictures are."""


@dataclass(frozen=True)
class OnRay:
    """The options that only Ray takes."""

    address: str | None = None
    workers: int | None = None
    cores: int = 1


def wish(
    inputs: tuple[str, ...],
    output: str | None,
    results: str | None,
    shard: str | None,
    engine: Literal["local", "ray"] | None,
    on_ray: OnRay,
) -> Wish | None:
    """What the call says of an archive; None where it is not about one.

    It is about one by an option of archives, a list, an address, or a folder whose results go into another.
    """
    if on_ray != OnRay() and engine != "ray":
        raise UsageError("--address, --workers and --cores-per-worker are for Ray.", "Add --engine ray.")
    plain = not (engine or shard or results or _speaks_of_archive(inputs, output))
    if plain and not (output and _folder_into_folder(inputs, output)):
        return None
    if "-" in (*inputs, output):
        raise UsageError("Standard input and output (-) are not for archives.", "Name files or folders.")
    if output is None:
        raise UsageError("An archive's results need a place.", "Name it by --output DIR, which may be an address.")

    from gramgan_cli.engines.batch.listing import parse_shard

    return Wish(inputs, output, results, parse_shard(shard), engine or "local", plain)


def _speaks_of_archive(inputs: Sequence[str], output: str | None) -> bool:
    from gramgan_cli.core.io.locations import is_address

    if any(is_address(text) for text in (*inputs, output or "")):
        return True
    return any(PurePosixPath(text).suffix.lower() in (".txt", ".jsonl", ".parquet") for text in inputs)


def _folder_into_folder(inputs: Sequence[str], output: str) -> bool:
    """Whether records are kept though nothing asks for them: pyarrow, which writes them, is an extra."""
    if "-" in (*inputs, output) or (format_of_suffix(Path(output).suffix) and not Path(output).is_dir()):
        return False
    return any(Path(text).is_dir() for text in inputs) and importlib.util.find_spec("pyarrow") is not None


def run(
    wish: Wish,
    on_ray: OnRay,
    options: UpscaleOptions,
    json: bool,
    quiet: bool,
) -> None:
    """Run, show, and exit with 1 where photos failed."""
    from gramgan_cli.engines.batch.run import BatchOptions, Run

    batch = BatchOptions(
        inputs=wish.inputs,
        output=wish.output,
        upscale=options,
        records=wish.results,
        shard=wish.shard,
        engine=wish.engine,
    )
    shown = _Shown(wish, json, quiet)
    work = Run(batch, shown.row, shown.progress)
    try:
        shown.found(work)
        with shown.showing(work), _engine(work, on_ray, quiet, shown.part) as engine:
            counts = work.go(engine)
    except KeyboardInterrupt:
        out.note(f"Stopped after {work.counts.settled} of {work.counts.photos} photos. The same command goes on.")
        raise
    shown.summary(work, counts)
    if counts.failed:
        raise typer.Exit(1)


@contextmanager
def _engine(work: Run, on_ray: OnRay, quiet: bool, on_part: Callable[[float], None]) -> Iterator[Engine | None]:
    """The engine that was asked for; none where nothing is missing."""
    if not work.missing:
        yield None
    elif work.options.engine == "ray":
        from gramgan_cli.engines.batch.ray_engine import Cluster, ray_engine

        # Ray prints its worries to standard output, which is for results.
        cluster = Cluster(on_ray.address, on_ray.workers, on_ray.cores)
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            ray_engine(work, cluster) as engine,
        ):
            yield engine
    else:
        from gramgan_cli.engines.batch.run import local_engine
        from gramgan_cli.engines.upscale.session import open_session

        session = open_session(work.options.upscale)
        if not quiet and session.backend:
            out.note(f"Running on {session.device} with {session.backend}.")
        yield local_engine(session, on_part)


class _Shown:
    """What a person, a log or a script sees of a run."""

    def __init__(self, wish: Wish, json: bool, quiet: bool) -> None:
        self._json, self._quiet, self._plain = json, quiet, wish.plain
        self._written = _as_written((*wish.inputs, wish.output)) if wish.plain else []
        self._failed: list[str] = []
        self._adopted = self._before = 0
        self._completed = 0.0
        self._results = sys.stdout
        self._rows: list[dict[str, Any]] = []
        self._bar = Progress(
            TextColumn("{task.fields[whole]}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%{task.fields[pace]}"),
            console=out.stderr,
            transient=True,
            disable=not out.stderr.is_terminal,
        )
        self._began = self._said = time.monotonic()
        self._first: tuple[float, float] | None = None

    @contextmanager
    def showing(self, work: Run) -> Iterator[None]:
        """The bar, while the run lasts."""
        self._task = self._bar.add_task(
            "", total=work.counts.photos, completed=work.counts.settled, pace="", whole=work.counts.settled
        )
        with self._bar:
            yield

    def found(self, work: Run) -> None:
        """The photos that need nothing."""
        from gramgan_cli.engines.upscale.result import Result

        for photo, output in work.there:
            result = self._worded(output)
            if self._json:
                record = Result(self._worded(photo.input), result, model=work.weights.name, skipped=True)
                self._rows.append(record.facts())
            elif self._plain:
                self._line(result if self._quiet else there_already(result))

    def row(self, row: Row) -> None:
        """One photo's outcome."""
        if self._written:
            row = replace(row, input=self._worded(row.input), output=row.output and self._worded(row.output))
            row.error, row.warnings = row.error and self._worded(row.error), [*map(self._worded, row.warnings)]
        self._adopted += row.done and row.model is None
        if row.error:
            self._failed.append(row.input)
            out.fail(row.error)
        elif not self._quiet:
            for warning in row.warnings:
                out.warn(f"{row.input}: {warning}")
        if self._json:
            self._rows.append(_document(row))
        elif row.output and self._quiet:
            self._line(row.output)
        elif row.output and self._plain:
            self._line(_line_of(row))

    def _line(self, text: str) -> None:
        with redirect_stdout(self._results):
            out.print_line(text)

    def _worded(self, text: str) -> str:
        """Paths as the person wrote them."""
        for path, written in self._written:
            below = "" if written == "." else written + os.sep
            text = written if text == path else text.replace(path + os.sep, below)
        return text

    def part(self, through: float) -> None:
        """How many photos of this run went through the network, in parts."""
        self._advance(self._before + through)

    def progress(self, counts: Counts) -> None:
        """Photos done, photos per second, time left."""
        self._before = counts.before
        pace = self._advance(counts.settled)
        now = time.monotonic()
        if not out.stderr.is_terminal and not self._quiet and now - self._said > LINE_EVERY:
            self._said = now
            out.note(f"{counts.settled} of {counts.photos} photos, {counts.failed} failed{pace}")

    def _advance(self, completed: float) -> str:
        """Move the bar; the pace as text, nothing while it is not known."""
        total = self._bar.tasks[self._task].total or 0.0
        self._completed = completed = min(max(completed, self._completed), total)  # some are tried twice
        now = time.monotonic()
        if self._first is None and completed > self._before:
            self._first = (now, completed)  # workers take a while to start, which is not their pace
        pace = ""
        if self._first is not None and completed > self._first[1]:
            rate = (completed - self._first[1]) / max(now - self._first[0], 1e-3)
            pace = f", {rate:.2f} photos/s, {_duration((total - completed) / rate)} left"
        self._bar.update(self._task, completed=completed, pace=pace, whole=int(completed))
        return pace

    def summary(self, work: Run, counts: Counts) -> None:
        """The end of it: one document, or a line."""
        if self._json:
            header = work.weights.header
            facts = {
                "name": work.weights.name,
                "sha256": work.weights.sha256,
                "scale": work.weights.scale,
                "arch": header.arch if header else None,
                "trained_for": header.trained_for if header else "an interpolation: not trained",
                "licence": header.licence if header else None,
            }
            records = {"records": work.records.text, "run": work.name, "counts": asdict(counts)}
            out.print_json({"model": facts, "results": self._rows, **records})
            return
        where = f"Records: {self._worded(work.records.text)}"
        if self._plain:
            skipped = counts.before + counts.elsewhere + self._adopted
            summarise(counts.done - self._adopted, skipped, self._failed, f" {where}")
            return
        other = f", {counts.elsewhere} done by other runs meanwhile" if counts.elsewhere else ""
        seconds = time.monotonic() - self._began
        out.note(
            f"{counts.done} upscaled, {counts.before} were done before{other}, {counts.failed} failed, "
            f"in {_duration(seconds)}. {where}"
        )


def _as_written(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(whole path, as the person wrote it) of each, where these differ; the longest first."""
    pairs = ((os.path.abspath(text), str(Path(text))) for text in texts)  # noqa: PTH100
    return sorted(((path, text) for path, text in pairs if path != text), key=lambda pair: -len(pair[0]))


def _line_of(row: Row) -> str:
    """The line of a result."""
    assert row.output is not None
    told = _document(row)
    if told["skipped"]:
        return there_already(row.output)
    return enlarged(row.output, told["input_size"], told["output_size"], row.seconds)


def _document(row: Row) -> dict[str, Any]:
    """A row as ``gramgan upscale --json`` says it, with what only archives know."""
    document = asdict(row)
    for kind in ("input", "output"):
        size = (document.pop(f"{kind}_width"), document.pop(f"{kind}_height"))
        document[f"{kind}_size"] = size if size[0] is not None else None
    document["skipped"] = row.done and row.model is None
    document["finished"] = row.finished.isoformat()
    return document


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
