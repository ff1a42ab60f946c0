"""One run over an archive: what is missing, the engine that does it, the records that say what was done."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.formats.capabilities import READ_SUFFIXES, format_of_suffix
from gramgan_cli.core.images.output_format import FormatChoice
from gramgan_cli.core.io.locations import LocalPlace, Place, place
from gramgan_cli.core.resize import baselines
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.batch.leases import Sign, claimed_keys, clear_old_signs, is_taken, key_of, release
from gramgan_cli.engines.batch.listing import Photo, list_photos, of_shard
from gramgan_cli.engines.batch.records import (
    FOLDER,
    Known,
    Ledger,
    Merged,
    Row,
    Work,
    note_run,
    noted_runs,
    pyarrow_parquet,
    storable,
)
from gramgan_cli.engines.batch.worker import Order, Outcome, Worker
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.plan import Naming, check_ending, check_writable
from gramgan_cli.engines.upscale.session import Session, weights_content

FLUSH_ROWS, FLUSH_SECONDS = 1_000, 15.0
"""How many rows, and for how long, may wait before they are written."""

CHUNK = 256
"""Photos that a worker is given at once; what failed among them is tried again after them."""

POLL_SECONDS = 2.0
"""Between two looks at photos that another run has in work."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """One call of ``gramgan upscale`` over folders, lists or URLs, with records."""

    inputs: Sequence[str]
    output: str
    """Folder of results, path or URL."""
    upscale: UpscaleOptions
    records: str | None = None
    """Folder of records; None: inside the folder of results."""
    shard: tuple[int, int] = (0, 1)
    """Number and count of the fixed parts of which one is done."""
    engine: Literal["local", "ray"] = "local"


@dataclass(frozen=True)
class Weights:
    """A model as all workers of a run shall load it."""

    name: str
    scale: int
    content: bytes | None
    """The file; None for interpolations."""
    sha256: str | None
    header: WeightsHeader | None


class Engine(Protocol):
    """What brings photos to workers."""

    def __call__(self, order: Order, photos: Sequence[Photo]) -> Iterator[Outcome]:
        """An outcome for each photo, in any order."""


@dataclass
class Counts:
    """How far a run is."""

    photos: int
    """In this run's part of the archive."""
    before: int
    """Of them, done by earlier runs."""
    done: int = 0
    elsewhere: int = 0
    """Done by other runs meanwhile."""
    failed: int = 0

    @property
    def settled(self) -> int:
        """Photos that nothing more happens to."""
        return self.before + self.done + self.elsewhere + self.failed


def look_up(model: str) -> Weights:
    """A model's weights with their checksum; those of a mixture as the file that they would make."""
    if model in baselines.BASELINES:
        return Weights(model, baselines.SCALE, None, None, None)
    loaded = load_model(model)
    if loaded.descriptor.needs_reference:
        raise UsageError(f"The model '{model}' needs a reference picture for every photo.", "Choose another --model.")
    content = weights_content(model, loaded)
    return Weights(loaded.name, loaded.descriptor.scale, content, hashlib.sha256(content).hexdigest(), loaded.header)


class Run:
    """One run over an archive.

    Args:
        options: what is wanted.
        on_row: told every photo's row as it comes.
        on_progress: told the counts, now and then.

    Raises GramganError for everything that can be known before the work.
    """

    def __init__(
        self, options: BatchOptions, on_row: Callable[[Row], None], on_progress: Callable[[Counts], None]
    ) -> None:
        pyarrow_parquet()  # says what is missing before the work
        self.options, self._on_row, self._on_progress = options, on_row, on_progress
        self.weights = look_up(options.upscale.model)
        naming = Naming.of(Path("results"), options.upscale, self.weights)
        self.output, photos = _with_place(
            list_photos(options.inputs, place(options.output), naming), options.output, options.upscale.format
        )
        self.records = place(options.records) if options.records else self.output / FOLDER
        mine = of_shard(photos, *options.shard)
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
        merged = Merged()
        merged.read(self.records)
        self.order = Order(
            self.name, self.output.text, self.records.text, self.weights.name, self.weights.sha256,
            options.upscale, options.upscale.described(), "", tuple(merged.seen),
        )  # fmt: skip
        self._check_same_work(merged, {storable(photo.input) for photo in mine})
        self._check_writable(mine)
        there = {storable(file.text) for file in self.output.files(recursive=True)} if merged.by_input else set()
        self._stopped = self._stopped_overwriting()
        self.missing, self.there = list[Photo](), list[tuple[Photo, str]]()
        for photo in mine:
            row = merged.by_input.get(storable(photo.input))
            if row is not None and row.output is not None and self._is_done(row, there):
                self.there.append((photo, row.output))
            else:
                self.missing.append(photo)
        dangerous = claimed_keys(self.records)
        # What a worker may have died over comes last: should it happen again, everything else is done.
        self.missing.sort(key=lambda photo: key_of(photo.input) in dangerous if dangerous else False)
        self.counts = Counts(len(mine), len(self.there))
        self._in_all = len(photos)

    def _is_done(self, row: Known, there: set[str]) -> bool:
        """Whether nothing is left to do. To overwrite is to do all again, but what a run did that was stopped at it."""
        if row.error is not None or row.output not in there:
            return False
        if self.options.upscale.overwrite and row.run not in self._stopped:
            return False
        return row.work == self.order.work or (row.work.model is None and self.options.upscale.skip_existing)

    def _stopped_overwriting(self) -> set[str]:
        """The runs over this part that were to overwrite and were stopped, since one such came to its end."""
        names: set[str] = set()
        for run in noted_runs(self.records):
            if run.get("overwrite") and run["shard"] == _shard_text(self.options.shard):
                names = set() if run.get("ended") else names | {run["run"]}
        return names

    def _check_same_work(self, merged: Merged, inputs: set[str]) -> None:
        """Results of another model or of other settings are replaced only by the person's wish."""
        if self.options.upscale.overwrite or self.options.upscale.skip_existing:
            return
        for name, row in merged.by_input.items():
            if row.error is None and row.work.model is not None and row.work != self.order.work and name in inputs:
                raise GramganError(
                    f"{self.output.text} has results {_difference(row.work, self.order.work)}.",
                    "Repeat the options of that run, name another --output, or replace its results with --overwrite.",
                )

    def _check_writable(self, photos: Sequence[Photo]) -> None:
        """Failures to write show before the work."""
        if isinstance(self.output, LocalPlace):
            for folder in sorted({photo.folder for photo in photos}):
                check_writable((self.output / folder).path)
        probe = f"_probe-{self.name}"
        (self.records / probe).write(b"")
        self.records.remove([probe])
        clear_old_signs(self.records)

    def go(self, engine: Engine | None) -> Counts:
        """Do what is missing (with no engine if nothing is).

        Whatever ends it, what was done is recorded as far as it was heard of.
        """
        facts = self._facts()
        note_run(self.records, self.name, facts)
        sign = Sign(self.records)
        order = replace(self.order, speaker=sign.owner)
        ledger = _Recording(Ledger(self.records, self.name), self.records)
        try:
            self._on_progress(self.counts)
            waiting, held = self.missing, list[Photo]()
            while waiting and engine is not None:
                for outcome in engine(order, waiting):
                    if outcome.state == "busy":
                        held.append(outcome.photo)
                    else:
                        self._settle(outcome, ledger)
                ledger.flush()
                waiting, held = self._freed(held)
        finally:
            ledger.close()
            sign.close()
        note_run(self.records, self.name, {**facts, "ended": datetime.now(UTC).isoformat()})
        return self.counts

    def _settle(self, outcome: Outcome, ledger: _Recording) -> None:
        if outcome.row is None:
            self.counts.elsewhere += 1
        else:
            ledger.add(outcome.row, (key_of(outcome.photo.input), outcome.claims))
            self._on_row(outcome.row)
            if outcome.row.done:
                self.counts.done += 1
            else:
                self.counts.failed += 1
        self._on_progress(self.counts)

    def _freed(self, held: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
        """Wait until other runs have given up or finished some of the photos that they had in work; those, the rest.

        What was finished the workers find recorded; what was given up they do.
        """
        while held:
            taken = {photo for photo in held if is_taken(self.records, key_of(photo.input))}
            if len(taken) < len(held):
                return [photo for photo in held if photo not in taken], [photo for photo in held if photo in taken]
            time.sleep(POLL_SECONDS)
        return [], []

    def _facts(self) -> dict[str, Any]:
        options = self.options
        return {
            "run": self.name,
            "photos": self._in_all,
            "shard": _shard_text(options.shard),
            "inputs": [place(text).text for text in options.inputs],  # however a folder is written, it is one
            "output": self.output.text,
            "model": self.weights.name,
            "model_sha256": self.weights.sha256,
            "settings": self.order.described,
            "overwrite": options.upscale.overwrite,
            "engine": options.engine,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }


class _Recording:
    """The ledger with the claims of the rows that wait in it: claims go once their rows are safe."""

    def __init__(self, ledger: Ledger, records: Place) -> None:
        self._ledger, self._records = ledger, records
        self._claims: list[tuple[str, int]] = []
        self._flushed = time.monotonic()

    def add(self, row: Row, claim: tuple[str, int]) -> None:
        """Take a row and its claim; write them if it is time."""
        self._ledger.add(row)
        self._claims.append(claim)
        if self._ledger.waiting >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows, then release their claims."""
        self._ledger.flush()
        release(self._records, self._claims)
        self._claims.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, and put the run's files together."""
        self.flush()
        self._ledger.close()


def _shard_text(shard: tuple[int, int]) -> str:
    """A part of the archive as the facts of a run say it: '3/8'."""
    return "/".join(map(str, shard))


def _difference(there: Work, wanted: Work) -> str:
    """In words, what results that are there were made with otherwise."""
    if there.model != wanted.model:
        return f"of the model '{there.model}', not of '{wanted.model}'"
    if there.model_sha256 != wanted.model_sha256:
        return f"of other weights of the model '{there.model}'"
    before, now = json.loads(there.settings), json.loads(wanted.settings)
    names = [name.replace("_", "-") for name in now if before.get(name) != now[name]]
    return f"made with other settings ({', '.join(names)})"


def _with_place(photos: list[Photo], output: str, choice: FormatChoice) -> tuple[Place, list[Photo]]:
    """The folder of results, and the photos; one photo alone may be given its result's very name."""
    target = place(output)
    form = format_of_suffix(target.suffix)
    if target.is_folder() or (form is None and target.suffix.lower() not in READ_SUFFIXES):
        return target, photos
    if len(photos) > 1:
        raise UsageError(f"--output {output} is a file, but there are several pictures.", "Name a folder.")
    check_ending(output, form, choice)
    name = target.name.removesuffix(target.suffix)
    return target.parent, [replace(photos[0], folder="", stem=name, suffix=target.suffix, named=True)]


def local_engine(session: Session, on_part: Callable[[float], None] = lambda _through: None) -> Engine:
    """Everything in this process, one photo after the other; ``on_part`` is told how many, in parts."""

    def outcomes(order: Order, photos: Sequence[Photo]) -> Iterator[Outcome]:
        worker = Worker(order, session, on_part)
        try:
            for first in range(0, len(photos), CHUNK):
                yield from worker.process(photos[first : first + CHUNK])
        finally:
            worker.close()

    return outcomes
