"""Checks whether photos and results still match the records of earlier runs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gramgan_cli.core.io.locations import LocalPath, Location, is_url
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.mixing.square import automatic_style
from gramgan_cli.engines.batch.records import FOLDER, MadeWith, Merged, Recorded
from gramgan_cli.engines.upscale.plan import Job

CLOCKS = 1.0
"""Tolerance in seconds between the clocks of file system and computer. Files changed later are compared."""

UNKNOWN_SIZE = -1
"""Size of a result at a URL, which listings don't give."""


class There(NamedTuple):
    """A file in the results folder."""

    size: int
    changed: float | None = None
    """Modification time in seconds since 1970; None at a URL."""


def results_in(output: Location) -> dict[str, There]:
    """List all files in the results folder, by path or URL."""
    there = {}
    for file in output.files(recursive=True):
        if not isinstance(file, LocalPath):
            there[file.text] = There(UNKNOWN_SIZE)
            continue
        with suppress(OSError):  # deleted meanwhile, or a dangling link
            facts = file.path.stat()
            there[file.text] = There(facts.st_size, facts.st_mtime)
    return there


def same_result(path: str, known: Recorded, there: There) -> bool:
    """Whether a file is the recorded result: by size, and by SHA-256 if it changed after the record."""
    if known.output_bytes is not None and there.size not in (known.output_bytes, UNKNOWN_SIZE):
        return False
    if known.output_sha256 is None or there.changed is None or there.changed <= known.finished.timestamp() + CLOCKS:
        return True
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() == known.output_sha256
    except OSError:
        return False


def same_photo(job: Job, known: Recorded) -> bool:
    """Whether a photo is the one that the result was made of: by size and time, or by SHA-256 if the time differs.

    Photos at URLs count as unchanged if their URLs are.
    """
    if is_url(job.source):
        return known.source == job.source
    path = Path(job.source)
    try:
        facts = path.stat()
        if facts.st_size != known.input_bytes:
            return False
        if facts.st_mtime_ns == known.input_modified:
            return True
        return hashlib.sha256(path.read_bytes()).hexdigest() == known.input_sha256
    except OSError:
        return True  # the worker reports the error


Move = tuple[str, str]
"""A source folder's path in the records, and its path now."""


def move_of(job: Job, known: Recorded) -> Move | None:
    """The move of a source folder that would explain another path of the photo; None if none would."""
    if known.below != job.below or is_url(known.source) or Path(known.source).exists():
        return None
    return known.root, job.source.removesuffix(job.below)


def moves_of(jobs: Sequence[Job], records: Mapping[str, Recorded], unchanged: Container[Job]) -> set[Move]:
    """Source folders that were moved: an unchanged photo proves it, or a photo of every recorded name.

    Without such a proof, another folder may have a photo of the same name.
    """
    names = defaultdict[str, set[str]](set)
    for known in records.values():
        names[known.root].add(known.below)
    here, moves = {job.below for job in jobs}, set[Move]()
    for job in jobs:
        move = move_of(job, records[job.key]) if job.key in records else None
        if move is not None and (job in unchanged or names[move[0]] <= here):
            moves.add(move)
    return moves


def is_successor(job: Job, known: Recorded, moves: Container[Move]) -> bool:
    """Whether a photo replaced the one that the result was made of, even if their folder was moved."""
    return known.source == job.source or move_of(job, known) in moves


def is_copy(job: Job, known: Recorded | None) -> bool:
    """Whether the recorded result is of an identical photo at another path, and so counts for both."""
    if known is None or known.error is not None or known.source == job.source or is_url(known.source):
        return False
    return Path(known.source).exists() and same_photo(job, known)


def recorded_results(folder: Location) -> set[str]:
    """Paths of the results in the records of a folder; empty without records."""
    merged = Merged()
    merged.read(folder / FOLDER)
    outputs = (known.output for known in merged.by_key.values() if known.error is None)
    return {(folder / output).text for output in outputs if output is not None}


def _named(model: str | None) -> str:
    style = None if model is None else automatic_style(model)
    return f"the model '{model}'" if style is None else f"`denoise` auto with `style` {style:g}"


def difference(there: MadeWith, wanted: MadeWith) -> str:
    """Phrase that says how the model or options of existing results differ from the wanted ones."""
    if there.model != wanted.model:
        return f"of {_named(there.model)}, not of {_named(wanted.model)}"
    if there.model_sha256 != wanted.model_sha256:
        return f"of other weights of the model '{there.model}'"
    before, now = json.loads(there.settings), json.loads(wanted.settings)
    if before.get("restoration") != now.get("restoration"):
        return f"of other weights of the model '{RESTORE}', which cleans photos first"
    names = [name.replace("_", "-") for name in now if before.get(name) != now[name]]
    return f"made with other settings ({', '.join(names)})"
