"""The planner: decides which pictures are upscaled and where each result goes, before any work."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.capabilities import FORMATS, Format, format_of_suffix
from gramgan_cli.core.images.output_format import FormatChoice, choose_format
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.result_mark import read_mark
from gramgan_cli.core.io.locations import is_url, locate
from gramgan_cli.engines.upscale.inputs import STANDARD, Found, Search, find
from gramgan_cli.engines.upscale.limits import check_writable
from gramgan_cli.engines.upscale.naming import OutputTarget, check_template, output_target, stem_of
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.result import Result


class Named(Protocol):
    """Model properties that result names need: a ``Session`` or the weights of a batch run."""

    @property
    def name(self) -> str:
        """Value of {model}."""

    @property
    def scale(self) -> int:
        """Value of {scale}, unless the user asks for another size."""


@dataclass(frozen=True)
class Job:
    """One picture to upscale."""

    source: str
    """The picture: a path, a URL, or ``STANDARD``."""
    folder: str
    """Folder of its result: a path, a URL, or ``STANDARD`` for standard output."""
    stem: str
    """File name of the result without the ending."""
    suffix: str
    """Expected ending of the result."""
    named: bool = False
    """Whether the user named the result's file, whose ending then decides the format."""
    found: bool = False
    """Whether the picture was found in a folder instead of being named itself."""
    root: str = ""
    """Folder that ``below`` is relative to; empty if there is none."""
    below: str = ""
    """Path of the picture relative to ``root``."""
    outdated: bool = False
    """Whether records show that the existing result is of an earlier picture of that name; it is then replaced."""
    key: str = ""
    """Expected path of the result relative to the results folder; identifies the photo in records and leases."""

    def name(self, form: Format) -> str:
        """File name of a result in this format, with the source's spelling of the ending, such as .jpeg or .JPG."""
        if self.named:
            return self.stem + self.suffix
        own = PurePosixPath(self.source).suffix
        return self.stem + (own if own.lower() in form.suffixes and form.name != "png" else form.suffixes[0])

    def path(self, form: Format) -> str:
        """Path or URL of a result in this format."""
        return self._at(self.name(form))

    @property
    def expected(self) -> str:
        """Expected path or URL of the result, before the picture is opened."""
        return self._at(self.stem + self.suffix)

    def _at(self, name: str) -> str:
        if self.folder == STANDARD:
            return STANDARD
        return (locate(self.folder) / name).text if is_url(self.folder) else str(Path(self.folder) / name)


@dataclass
class Plan:
    """Jobs of a run, and pictures and folders that it leaves out."""

    jobs: list[Job] = field(default_factory=list)
    """Jobs in the order of the inputs."""
    results: list[str] = field(default_factory=list)
    """Pictures in folders that are results of earlier runs and are not enlarged again."""
    foreign: list[tuple[str, str]] = field(default_factory=list)
    """Pictures in folders in an unsupported format, each with the format's name."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Subfolders that can't be read, each with an error message."""

    def failures(self) -> list[Result]:
        """A failed result for each unreadable folder."""
        failed = [Result(folder) for folder, _ in self.unreadable]
        for result, (_, message) in zip(failed, self.unreadable, strict=True):
            result.fail(GramganError(message))
        return failed


def plan_jobs(inputs: Sequence[str], output: str | None, options: UpscaleOptions, model: Named) -> Plan:
    """Plan the jobs for all pictures that the inputs name, each once and in order.

    Args:
        inputs: pictures, folders and globs; ``STANDARD`` is standard input.
        output: file or folder for the results, ``STANDARD`` for standard output; None puts them next to the pictures.
        options: template, format, size, recursive and allow_truncated are used.
        model: its name and scale, for names of results.

    Raises:
        GramganError: an input does not exist or contains no picture; two results have the same path; a result would
            replace an input; a folder can't be written to.
        UsageError: options contradict each other.
    """
    plan = Plan()
    search = Search(
        options.recursive,
        output,
        on_unreadable=lambda folder, message: plan.unreadable.append((folder, message)),
        on_foreign=lambda path, kind: plan.foreign.append((path, kind)),
    )
    complete(plan, list(find(inputs, search)), output, options, model)
    for folder in {job.folder for job in plan.jobs if job.folder != STANDARD}:
        check_writable(Path(folder))
    return plan


def complete(
    plan: Plan,
    found: list[Found],
    output: str | None,
    options: UpscaleOptions,
    model: Named,
    recorded: Callable[[str], bool] = lambda _source: False,
) -> None:
    """Add the jobs for found pictures to a plan, leaving out results of earlier runs. Collisions are errors.

    Args:
        plan: its ``jobs`` and ``results`` are set.
        found: from ``find`` or a manifest.
        output: as in ``plan_jobs``; a path or URL.
        options: as in ``plan_jobs``.
        model: as in ``plan_jobs``.
        recorded: returns whether records show that a picture is a result.

    Raises:
        GramganError: as in ``plan_jobs``.
        UsageError: as in ``plan_jobs``.
    """
    check_template(options.template)
    single = len(found) == 1 and not found[0].in_folder
    target = output_target(output, single, options.format)
    jobs = [_job(one, target, options, model) for one in found]
    kept, plan.results, unproven = _without_results(jobs, recorded)
    if jobs and not kept:
        raise GramganError(
            f"Nothing to upscale: all {len(jobs)} photos are results of earlier runs.",
            "To enlarge them again, pass them one by one or as a glob.",
        )
    plan.jobs = _without_collisions(kept, options, unproven if options.overwrite else [])


def _job(found: Found, target: OutputTarget, options: UpscaleOptions, model: Named) -> Job:
    """Job of one picture."""
    suffix = _expected_suffix(found.source, options.format)
    if target.folder == STANDARD or (found.source == STANDARD and target.folder is None):
        return Job(found.source, STANDARD, "", suffix)
    if target.name is not None:
        path = PurePosixPath(target.name)
        assert target.folder is not None
        return Job(
            found.source,
            target.folder,
            path.stem,
            path.suffix,
            named=True,
            found=found.in_folder,
            root=found.root,
            below=found.below,
            key=target.name,
        )
    stem = stem_of(found.source, options, model)
    if target.folder is None:
        folder = str(Path(found.source).parent)
    elif is_url(target.folder):
        folder = (locate(target.folder) / found.folder).text
    else:
        folder = str(Path(target.folder) / found.folder)
    key = f"{found.folder}/{stem}{suffix}".lstrip("/")
    return Job(found.source, folder, stem, suffix, found=found.in_folder, root=found.root, below=found.below, key=key)


def _expected_suffix(source: str, choice: FormatChoice) -> str:
    """Ending of the result by the source's name; the source's content may lead to another."""
    own_suffix = PurePosixPath(source).suffix
    if choice not in ("default", "same"):
        form = FORMATS[choice]
    else:
        own = format_of_suffix(own_suffix)
        keeps = own is not None and (choice == "same" or own.name in ("jpg", "webp"))
        form = own if own is not None and keeps else FORMATS["png"]
    return own_suffix if own_suffix.lower() in form.suffixes and form.name != "png" else form.suffixes[0]


# ---- results of earlier runs ---------------------------------------------------------------------------------------

_USUAL_NAME = re.compile(r"(.+)_(x\d+(\.\d+)?|\d+x\d+)")
"""Result names of the default template."""


def _without_results(jobs: list[Job], recorded: Callable[[str], bool]) -> tuple[list[Job], list[str], list[Job]]:
    """Split jobs into those to run and the sources that are results of earlier runs.

    Only pictures found in folders are left out; they are recognised by their names, records and marks in the files.
    The third list has the jobs of those that only their names make results.
    """
    stems = {_key(job.folder, job.stem) for job in jobs}
    sources = {_without_ending(job.source) for job in jobs}
    # Results that keep their photos' names, as those of the template {stem}, tell nothing about what is beside a photo.
    beside = {
        result
        for job in jobs
        if not is_url(job.source)
        and (result := _key(str(Path(job.source).parent), job.stem)) != _without_ending(job.source)
    }

    def is_named_like_one(job: Job) -> bool:
        own = _without_ending(job.source)
        by_name = own in (stems | beside) and own != _key(job.folder, job.stem)
        usual = _USUAL_NAME.fullmatch(PurePosixPath(job.source).stem)
        if usual is not None:
            head, tail = os.path.split(own)
            by_name = by_name or f"{head}{own[len(head) : -len(tail)]}{tail[: len(usual[1])]}" in sources
        return by_name

    unknown = [job for job in jobs if job.found and not recorded(job.source)]
    unmarked = {job.source for job, mark in zip(unknown, _marks(unknown), strict=True) if not mark}
    unproven = [job for job in jobs if job.source in unmarked and is_named_like_one(job)]
    photos = unmarked - {job.source for job in unproven}
    kept = [job for job in jobs if not job.found or job.source in photos]
    left_out = [job.source for job in jobs if job.found and job.source not in photos]
    return kept, left_out, unproven


def _marks(jobs: Sequence[Job]) -> Iterable[bool]:
    """Whether each picture carries a result mark. Pictures at URLs are not opened."""
    with ThreadPoolExecutor(8, "marks") as pool:  # threads, since it mostly waits for the disk
        return list(pool.map(_is_marked, jobs, chunksize=16))


def _is_marked(job: Job) -> bool:
    return not is_url(job.source) and read_mark(Path(job.source)) is not None


# ---- collisions ----------------------------------------------------------------------------------------------------


def same_location(path: str) -> str:
    """Key that is equal for paths of the same file: links resolved, case folded on Windows and macOS."""
    if is_url(path):
        return path
    key = os.path.realpath(path)  # circular links only fail when opened
    return key.casefold() if sys.platform in ("win32", "darwin") else key


def _key(folder: str, stem: str) -> str:
    """Key of a file without its ending, from folder and stem."""
    return f"{same_location(folder)}/{stem}"


def _without_ending(path: str) -> str:
    """Key of a picture without its ending, comparable with ``_key``."""
    if path == STANDARD:
        return STANDARD
    where = locate(path)
    return _key(where.parent.text, where.name.removesuffix(where.suffix))


def _without_collisions(jobs: list[Job], options: UpscaleOptions, unproven: list[Job]) -> list[Job]:
    """Raise GramganError if two results share a path, or a result has the path of an input or of an unproven result.

    A result's ending can depend on the picture's content, so pictures whose results could collide are opened. Returns
    the jobs with the endings found.
    """
    inputs = {same_location(job.source): job.source for job in jobs if job.source != STANDARD}
    named_like_results = {same_location(job.source) for job in unproven}
    input_stems = {_without_ending(job.source) for job in (*jobs, *unproven)}
    stems: dict[str, int] = defaultdict(int)
    for job in jobs:
        stems[_key(job.folder, job.stem)] += job.folder != STANDARD
    done, taken = [], dict[str, Job]()
    for job in jobs:
        if job.folder == STANDARD:
            done.append(job)
            continue
        key = _key(job.folder, job.stem)
        if not job.named and (stems[key] > 1 or key in input_stems):
            job = _by_content(job, options)
        path = same_location(job.expected)
        if path in inputs:
            raise GramganError(
                f"The result of {job.source} would replace the input {inputs[path]}.",
                "Choose another `output` or `template`.",
            )
        if path in named_like_results:
            raise GramganError(
                f"The result of {job.source} would replace {job.expected}, which may be a photo: it bears no mark of "
                "gramgan's.",
                "Choose another `output` or `template`, or delete it.",
            )
        if path in taken:
            raise GramganError(
                f"{taken[path].source} and {job.source} would both be written to {job.expected}.",
                _way_out(job, taken[path]),
            )
        taken[path] = job
        done.append(job)
    return done


def _way_out(one: Job, other: Job) -> str:
    """Hint for two pictures with the same result path."""
    if PurePosixPath(one.source).suffix != PurePosixPath(other.source).suffix:
        return "Add {ext} to `template`."
    return "Upscale the folders one by one, each with its own `output`."


def _by_content(job: Job, options: UpscaleOptions) -> Job:
    """The job with the ending that follows from the picture's content; unchanged if it can't be opened."""
    try:
        form = choose_format(open_photo(locate(job.source).read(), job.source, options.allow_truncated), options.format)
    except GramganError:
        return job
    suffix = job.name(form)[len(job.stem) :]
    return replace(job, suffix=suffix, key=job.key.removesuffix(job.suffix) + suffix)


def finished_since(jobs: Iterable[Job], began: float | None) -> int:
    """Number of jobs that have a result on local disk.

    Args:
        jobs: jobs of a plan.
        began: only count results written since this time, in seconds since 1970; None counts all.
    """
    endings = [suffix for form in FORMATS.values() for suffix in form.suffixes]

    def is_there(job: Job) -> bool:
        for ending in dict.fromkeys((job.suffix, *endings)):
            with suppress(OSError):
                facts = (Path(job.folder) / (job.stem + ending)).stat()
                if facts.st_size and (began is None or facts.st_mtime >= began):
                    return True
        return False

    return sum(is_there(job) for job in jobs if not is_url(job.folder))
