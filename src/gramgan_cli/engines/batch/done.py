"""What of earlier runs' results still holds: whether photos and results are those that the records speak of."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gramgan_cli.core.io.locations import LocalPath, Location, is_url
from gramgan_cli.engines.batch.records import FOLDER, MadeWith, Merged, Recorded
from gramgan_cli.engines.upscale.plan import Job

CLOCKS = 1.0
"""Seconds by which a file system's clock may differ from the computer's: later files are compared."""

UNKNOWN_SIZE = -1
"""The size of a result at a URL, which no listing gave."""


class There(NamedTuple):
    """What the folder of results says of a file in it."""

    size: int
    changed: float | None = None
    """When, in seconds since 1970; None at a URL."""


def results_in(output: Location) -> dict[str, There]:
    """Every file in the folder of results."""
    there = {}
    for file in output.files(recursive=True):
        if not isinstance(file, LocalPath):
            there[file.text] = There(UNKNOWN_SIZE)
            continue
        with suppress(OSError):  # gone this moment, or a link to nothing
            facts = file.path.stat()
            there[file.text] = There(facts.st_size, facts.st_mtime)
    return there


def same_result(path: str, known: Recorded, there: There) -> bool:
    """Whether a file is the recorded result: by size, and where it was changed since the record, by SHA-256."""
    if known.output_bytes is not None and there.size not in (known.output_bytes, UNKNOWN_SIZE):
        return False
    if known.output_sha256 is None or there.changed is None or there.changed <= known.finished.timestamp() + CLOCKS:
        return True
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() == known.output_sha256
    except OSError:
        return False


def same_photo(job: Job, known: Recorded) -> bool:
    """Whether the photo is the one that the result was made of: by size and time, and where these differ, by SHA-256.

    Photos at URLs count as unchanged as long as their names are.
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
        return True  # the worker says what is wrong with it


def is_successor(job: Job, known: Recorded) -> bool:
    """Whether a photo took the place of the one that the result was made of, be it that their folder was moved."""
    if known.source == job.source:
        return True
    return known.below == job.below and not is_url(known.source) and not Path(known.source).exists()


def is_copy(job: Job, known: Recorded | None) -> bool:
    """Whether the result is recorded as that of a photo elsewhere, which counts for both."""
    if known is None or known.error is not None or known.source == job.source or is_url(known.source):
        return False
    return Path(known.source).exists() and same_photo(job, known)


def recorded_results(folder: Location) -> set[str]:
    """The results that the records inside a folder speak of, as paths; none where there are no records."""
    merged = Merged()
    merged.read(folder / FOLDER)
    outputs = (known.output for known in merged.by_key.values() if known.error is None)
    return {(folder / output).text for output in outputs if output is not None}


def difference(there: MadeWith, wanted: MadeWith) -> str:
    """In words, what results that are there were made with otherwise."""
    if there.model != wanted.model:
        return f"of the model '{there.model}', not of '{wanted.model}'"
    if there.model_sha256 != wanted.model_sha256:
        return f"of other weights of the model '{there.model}'"
    before, now = json.loads(there.settings), json.loads(wanted.settings)
    names = [name.replace("_", "-") for name in now if before.get(name) != now[name]]
    return f"made with other settings ({', '.join(names)})"
