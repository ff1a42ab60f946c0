"""What of earlier runs' results still holds: whether photos and results are those that the records speak of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from gramgan_cli.core.io.locations import LocalPath, Location, is_url
from gramgan_cli.engines.batch.records import FOLDER, MadeWith, Merged, Recorded
from gramgan_cli.engines.upscale.plan import Job

UNKNOWN_SIZE = -1
"""The size of a result at a URL, which no listing gave."""


def sizes_in(output: Location) -> dict[str, int]:
    """Length of every file in the folder of results."""
    sizes = {}
    for file in output.files(recursive=True):
        try:
            sizes[file.text] = file.path.stat().st_size if isinstance(file, LocalPath) else UNKNOWN_SIZE
        except OSError:  # gone this moment, or a link to nothing
            continue
    return sizes


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
