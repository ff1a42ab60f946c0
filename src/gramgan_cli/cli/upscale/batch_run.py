"""``gramgan upscale`` with records: options and output of batch runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import typer

from gramgan_cli.cli import output as out
from gramgan_cli.cli.upscale.lines import DamageNote, PhotoBar, foreign, in_flags, left_out, line_of, runs, summarise
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.images.capabilities import format_of_suffix

if TYPE_CHECKING:
    from gramgan_cli.engines.batch.run import BatchOptions, Counts, Run
    from gramgan_cli.engines.upscale.options import UpscaleOptions
    from gramgan_cli.engines.upscale.result import Result
    from gramgan_cli.engines.upscale.session import Session

LINE_EVERY = 30.0
"""Seconds between progress lines if stderr is not a terminal (logs of batch systems)."""


@dataclass(frozen=True)
class Asked:
    """The command's options of batch runs, as given."""

    engine: Literal["local", "ray"] | None
    address: str | None
    workers: int | None
    cores_per_worker: int
    shard: str | None
    results: str | None
    records: bool | None


@dataclass(frozen=True)
class BatchCall:
    """One call of ``gramgan upscale`` with records."""

    options: BatchOptions
    asked: Asked
    plain: bool
    """Whether the call has no sign of a batch run but a folder; its output is then that of single pictures."""


def batch_call(inputs: tuple[str, ...], output: str | None, upscale: UpscaleOptions, asked: Asked) -> BatchCall | None:
    """Options of a batch run; None if the call is for single pictures, or without records.

    A call is a batch run if it has an option of batch runs, a list, a URL, or a folder with another output folder.
    """
    if (asked.address or asked.workers or asked.cores_per_worker != 1) and asked.engine != "ray":
        raise UsageError("--address, --workers and --cores-per-worker work only with Ray.", "Add --engine ray.")
    plain = not (asked.engine or asked.shard or asked.results or asked.records or _speaks_of_batch(inputs, output))
    if plain and (asked.records is False or upscale.reference or not (output and _into_folder(inputs, output))):
        return None
    if asked.records is False and asked.results:
        raise UsageError("--results is a folder for records, and --no-records writes none.", "Leave out one of them.")
    if asked.records is False:
        raise UsageError("Lists, URLs, shards and Ray need records.", "Leave out --no-records.")
    if upscale.reference:
        raise UsageError("--ref has no effect in batch runs.", "Leave it out.")
    if "-" in (*inputs, output):
        raise UsageError("Batch runs can't use standard input and output (-).", "Pass files or folders.")
    if output is None:
        raise UsageError(
            "A batch run needs a location for its results.", "Pass it with --output DIR, which may be a URL."
        )

    from gramgan_cli.engines.batch.listing import parse_shard
    from gramgan_cli.engines.batch.run import BatchOptions

    options = BatchOptions(
        inputs=inputs,
        output=output,
        upscale=upscale,
        records=asked.results,
        shard=parse_shard(asked.shard),
        engine=asked.engine or "local",
    )
    return BatchCall(options, asked, plain)


def _speaks_of_batch(inputs: Sequence[str], output: str | None) -> bool:
    from gramgan_cli.core.io.locations import is_url

    if any(is_url(text) for text in (*inputs, output or "")):
        return True
    return any(PurePosixPath(text).suffix.lower() in (".txt", ".jsonl", ".parquet") for text in inputs)


def _into_folder(inputs: Sequence[str], output: str) -> bool:
    """Whether a folder is upscaled into a folder."""
    if "-" in (*inputs, output):
        return False
    as_folder = output.endswith(("/", os.sep)) or Path(output).is_dir()
    if format_of_suffix(Path(output).suffix) and not as_folder:
        return False
    return any(Path(text).is_dir() for text in inputs)


def run(call: BatchCall, json: bool, quiet: bool) -> None:
    """Run the batch and show it. Exits with 1 if photos failed."""
    from gramgan_cli.api.upscale.batch import ClusterOptions, engine_for
    from gramgan_cli.engines.batch.run import Run

    asked = call.asked
    cluster = ClusterOptions(address=asked.address, workers=asked.workers, cores_per_worker=asked.cores_per_worker)

    def on_session(session: Session) -> None:
        if not quiet and session.backend:
            out.note(runs(session))

    display = _Display(call, json, quiet)
    work = Run(call.options, display.result, display.progress)
    try:
        display.found(work)
        with (
            display.showing(work),
            engine_for(work, cluster, on_session=on_session, on_part=display.part) as engine,
        ):
            counts = work.go(engine)
    except KeyboardInterrupt:
        done = work.finished()
        out.note(f"Stopped after {done} of {work.counts.photos} photos. To continue, run the same command again.")
        raise
    display.summary(work, counts)
    if counts.failed:
        raise typer.Exit(1)


class _Display:
    """Shows a batch run on a terminal, in a log or as JSON."""

    def __init__(self, call: BatchCall, json: bool, quiet: bool) -> None:
        self._json, self._quiet, self._plain = json, quiet, call.plain
        self._written = _as_written((*call.options.inputs, call.options.output)) if call.plain else []
        self._note_damage = DamageNote(call.options.upscale.model)
        self._failed: list[str] = []
        self._adopted = self._before = 0
        self._bar = PhotoBar(0)
        self._stdout = sys.stdout
        self._documents: list[dict[str, Any]] = []
        self._began = self._noted = time.monotonic()

    @contextmanager
    def showing(self, work: Run) -> Iterator[None]:
        """Context that shows the progress bar during the run."""
        with PhotoBar(work.counts.photos, work.counts.settled) as self._bar:
            yield

    def found(self, work: Run) -> None:
        """Report the photos that are left out or done already."""
        from gramgan_cli.engines.upscale.result import Result

        if work.plan.results and not self._quiet:
            out.note(left_out([self._worded(path) for path in work.plan.results]))
        if work.plan.foreign and not self._quiet:
            out.note(foreign([(self._worded(path), kind) for path, kind in work.plan.foreign]))
        for job, output in work.there:
            result = Result(
                self._worded(job.source), self._worded(output), model=work.weights.name, skipped=True, run=work.name
            )
            if self._json:
                self._documents.append(result.facts())
            elif self._plain:
                self._print(line_of(result, self._quiet))

    def result(self, result: Result) -> None:
        """Report one photo's result."""
        result = in_flags(result)
        if self._written:
            result = replace(
                result,
                input=self._worded(result.input),
                output=result.output and self._worded(result.output),
                error=result.error and self._worded(result.error),
                warnings=[*map(self._worded, result.warnings)],
            )
        self._adopted += result.skipped
        if result.error:
            self._failed.append(result.input)
            out.fail(result.error)
        elif not self._quiet:
            for warning in result.warnings:
                out.warn(f"{result.input}: {warning}")
            self._note_damage(result)
        if self._json:
            self._documents.append(result.facts())
        elif result.output and (self._quiet or self._plain):
            self._print(line_of(result, self._quiet))

    def _print(self, line: str) -> None:
        with redirect_stdout(self._stdout):  # standard output is redirected while Ray runs
            self._bar.print(line)

    def _worded(self, text: str) -> str:
        """Replace absolute paths by paths as the user wrote them."""
        for path, written in self._written:
            below = "" if written == "." else written + os.sep
            text = written if text == path else text.replace(path + os.sep, below)
        return text

    def part(self, through: float) -> None:
        """Update the bar; ``through`` is the number of photos upscaled in this run, with the current one's fraction."""
        self._bar.advance(self._before + through)

    def progress(self, counts: Counts) -> None:
        """Update the bar; without one, print a line every ``LINE_EVERY`` seconds."""
        self._before = counts.before
        self._bar.advance(counts.settled)
        now = time.monotonic()
        if not out.stderr.is_terminal and not self._quiet and now - self._noted > LINE_EVERY:
            self._noted = now
            rate = (counts.settled - counts.before) / (now - self._began)
            left = f", {_duration((counts.photos - counts.settled) / rate)} left" if rate else ""
            out.note(f"{counts.settled} of {counts.photos} photos, {counts.failed} failed, {rate:.2f} photos/s{left}")

    def summary(self, work: Run, counts: Counts) -> None:
        """Print the JSON document or the summary line at the end of the run."""
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
            out.print_json({"model": facts, "results": self._documents, **records})
            return
        where = f"Records: {self._worded(work.records.text)}"
        if self._plain:
            skipped = counts.before + counts.elsewhere + self._adopted
            summarise(counts.done - self._adopted, skipped, self._failed, f" {where}")
            return
        other = f", {self._adopted} already existed" if self._adopted else ""
        other += f", {counts.elsewhere} done by other runs" if counts.elsewhere else ""
        seconds = time.monotonic() - self._began
        out.note(
            f"{counts.done - self._adopted} upscaled, {counts.before} done before{other}, {counts.failed} failed, "
            f"in {_duration(seconds)}. {where}"
        )


def _as_written(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(absolute path, path as the user wrote it) of the texts where these differ; longest first."""
    pairs = ((os.path.abspath(text), str(Path(text))) for text in texts)  # noqa: PTH100
    return sorted(((path, text) for path, text in pairs if path != text), key=lambda pair: -len(pair[0]))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
