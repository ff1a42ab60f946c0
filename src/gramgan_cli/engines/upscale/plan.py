"""The one planner: which pictures are upscaled and where each result goes, decided and checked before any work."""

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

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.capabilities import FORMATS, READ_SUFFIXES, Format, format_of_suffix
from gramgan_cli.core.images.output_format import FormatChoice, choose_format
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.images.result_mark import read_mark
from gramgan_cli.core.io.locations import is_url, locate
from gramgan_cli.engines.upscale.inputs import STANDARD, Found, Search, find
from gramgan_cli.engines.upscale.limits import check_writable
from gramgan_cli.engines.upscale.naming import check_template, stem_of
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.result import Result


class Named(Protocol):
    """What names of results need of a model: a ``Session``, or the weights of a batch run."""

    @property
    def name(self) -> str:
        """What {model} stands for."""

    @property
    def scale(self) -> int:
        """What {scale} stands for, where the user asks for no other size."""


@dataclass(frozen=True)
class Job:
    """One picture to upscale."""

    source: str
    """The picture: a path, a URL, or ``STANDARD``."""
    folder: str
    """Where its result goes: a path or URL; ``STANDARD`` for standard output."""
    stem: str
    """The result's file name without the ending."""
    suffix: str
    """The ending that the result is expected to have."""
    named: bool = False
    """Whether the user named the result's file; its ending then decides its format."""
    found: bool = False
    """Whether it was found in a folder, not named itself."""
    root: str = ""
    """The folder that ``below`` is relative to; nothing where there is none."""
    below: str = ""
    """The picture's path below ``root``."""
    outdated: bool = False
    """Whether records say that the result was made of an earlier picture of that name: it is replaced."""
    key: str = ""
    """Where the result is expected, relative to the folder of results: records and leases know the photo by it."""

    def name(self, form: Format) -> str:
        """The file name of a result of this format. JPEG keeps the source's own ending."""
        if self.named:
            return self.stem + self.suffix
        own = PurePosixPath(self.source).suffix
        return self.stem + (own if own.lower() in form.suffixes and form.name != "png" else form.suffixes[0])

    def path(self, form: Format) -> str:
        """Where a result of this format goes."""
        return self._at(self.name(form))

    @property
    def expected(self) -> str:
        """Where the result goes as far as is known before the picture is opened."""
        return self._at(self.stem + self.suffix)

    def _at(self, name: str) -> str:
        if self.folder == STANDARD:
            return STANDARD
        return (locate(self.folder) / name).text if is_url(self.folder) else str(Path(self.folder) / name)


@dataclass
class Plan:
    """What a run is to do."""

    jobs: list[Job] = field(default_factory=list)
    """In the order of the inputs."""
    results: list[str] = field(default_factory=list)
    """Pictures in folders that are results of earlier runs; they are not enlarged again."""
    foreign: list[tuple[str, str]] = field(default_factory=list)
    """Pictures in folders that are of a kind that is not read, and the kind's name."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folders inside that can't be read, each with a sentence."""

    def failures(self) -> list[Result]:
        """A result for each folder that can't be read."""
        failed = [Result(folder) for folder, _ in self.unreadable]
        for result, (_, message) in zip(failed, self.unreadable, strict=True):
            result.fail(GramganError(message))
        return failed


def plan_jobs(inputs: Sequence[str], output: str | None, options: UpscaleOptions, model: Named) -> Plan:
    """All pictures that the inputs name, each once, in order, and where their results go.

    Args:
        inputs: pictures, folders and globs; ``STANDARD`` is standard input.
        output: a file or folder for the results, ``STANDARD`` for standard output; None puts them beside the pictures.
        options: template, format, size and recursive count.
        model: its name and scale, for names of results.

    Raises:
        GramganError: an input that is not there or holds no picture; two results at one path; a result that would
            replace an input; a folder that can't be written to.
        UsageError: options that contradict each other.
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
    """Decide the jobs of what was found, without pictures that are results, and refuse collisions.

    Args:
        plan: jobs and results are added.
        found: from ``find`` or a manifest.
        output: as ``plan_jobs`` has it; a path or URL.
        options: as ``plan_jobs`` has it.
        model: as ``plan_jobs`` has it.
        recorded: whether records say that a picture is a result.

    Raises:
        GramganError: as ``plan_jobs`` does.
        UsageError: as ``plan_jobs`` does.
    """
    check_template(options.template)
    single = len(found) == 1 and not found[0].in_folder
    target = _target(output, single, options.format)
    jobs = [_job(one, target, options, model) for one in found]
    kept, plan.results = _without_results(jobs, recorded)
    if jobs and not kept:
        raise GramganError(
            f"Nothing to upscale: all {len(jobs)} pictures there are results of earlier runs.",
            "Name them one by one, or by a glob, to enlarge them again.",
        )
    plan.jobs = _without_collisions(kept, options)


@dataclass(frozen=True)
class _Target:
    """What ``--output`` names."""

    folder: str | None
    """None: beside each picture."""
    name: str | None = None
    """The file name of the one result, where the user gave one."""


def _target(output: str | None, single: bool, choice: FormatChoice) -> _Target:
    """A file for the one result, or a folder; a name that ends in a slash is a folder's."""
    if output is None:
        return _Target(None)
    if output == STANDARD:
        if not single:
            raise UsageError("Standard output takes one picture.", "Name a folder with --output.")
        return _Target(STANDARD)
    where = locate(output)
    if output.endswith(("/", os.sep)) or where.is_folder() or not where.suffix:
        return _Target(where.text if is_url(output) else str(Path(output)))
    form = format_of_suffix(where.suffix)
    if not single:
        if where.suffix.lower() in READ_SUFFIXES or (not is_url(output) and Path(output).is_file()):
            raise UsageError(f"--output {output} is a file, but there are several pictures.", "Name a folder.")
        return _Target(where.text if is_url(output) else str(Path(output)))
    check_ending(output, form, choice)
    return _Target(where.parent.text if is_url(output) else str(Path(output).parent), where.name)


def check_ending(output: str, form: Format | None, choice: FormatChoice) -> None:
    """Raise UsageError where the file that ``--output`` names, of this format, can't be written, or not as asked."""
    if form is None:
        raise UsageError(
            f"gramgan does not write '{PurePosixPath(output).suffix}' files.",
            f"It writes: {', '.join(suffix for row in FORMATS.values() for suffix in row.suffixes)}. "
            "For a folder of that name, end it with /.",
        )
    if choice not in ("default", "same", form.name):
        raise UsageError(
            f"--output {output} is a {form.label} file, but --format says {choice}.", "Leave --format out."
        )


def _job(found: Found, target: _Target, options: UpscaleOptions, model: Named) -> Job:
    """The job of one picture."""
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
    """The result's ending as far as the source's name tells; its content may tell otherwise."""
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
"""Names that results have where no template is chosen."""


def _without_results(jobs: list[Job], recorded: Callable[[str], bool]) -> tuple[list[Job], list[str]]:
    """Leave out what earlier runs made of other pictures; what was named itself stays.

    Results are known by their names beside or among those of this run, by records, and by their marks.
    """
    stems = {_key(job.folder, job.stem) for job in jobs}
    beside = {_key(str(Path(job.source).parent), job.stem) for job in jobs if not is_url(job.source)}
    sources = {_without_ending(job.source) for job in jobs}

    def is_result(job: Job) -> bool:
        if not job.found:
            return False
        own = _without_ending(job.source)
        by_name = own in (stems | beside) and own != _key(job.folder, job.stem)
        usual = _USUAL_NAME.fullmatch(PurePosixPath(job.source).stem)
        if usual is not None:
            head, tail = os.path.split(own)
            by_name = by_name or f"{head}{own[len(head) : -len(tail)]}{tail[: len(usual[1])]}" in sources
        return by_name or recorded(job.source)

    named = [is_result(job) for job in jobs]
    left = [job for job, known in zip(jobs, named, strict=True) if not known and job.found]
    marked = {job.source for job, mark in zip(left, _marks(left), strict=True) if mark}
    kept = [
        job for job, known in zip(jobs, named, strict=True) if not known and not (job.found and job.source in marked)
    ]
    sources_kept = {job.source for job in kept}
    return kept, [job.source for job in jobs if job.source not in sources_kept]


def _marks(jobs: Sequence[Job]) -> Iterable[bool]:
    """Whether the pictures carry marks; pictures at URLs are not looked into."""
    with ThreadPoolExecutor(8, "marks") as pool:  # most of the time is waiting for the disk
        return list(pool.map(_is_marked, jobs, chunksize=16))


def _is_marked(job: Job) -> bool:
    return not is_url(job.source) and read_mark(Path(job.source)) is not None


# ---- collisions ----------------------------------------------------------------------------------------------------


def same_location(path: str) -> str:
    """A key that is equal for paths to one file, as far as the file system's letter case goes."""
    if is_url(path):
        return path
    key = os.path.realpath(path)  # links that lead to each other are no error here: opening them is
    return key.casefold() if sys.platform in ("win32", "darwin") else key


def _key(folder: str, stem: str) -> str:
    """A key for the results of a stem, whatever their ending."""
    return f"{same_location(folder)}/{stem}"


def _without_ending(path: str) -> str:
    """The same key for a picture."""
    if path == STANDARD:
        return STANDARD
    where = locate(path)
    return _key(where.parent.text, where.name.removesuffix(where.suffix))


def _without_collisions(jobs: list[Job], options: UpscaleOptions) -> list[Job]:
    """Refuse two results at one path, and a result at an input's.

    An ending may follow from the content alone, so where names could collide the pictures themselves are looked at;
    the jobs come back with the endings that were found.
    """
    inputs = {same_location(job.source): job.source for job in jobs if job.source != STANDARD}
    input_stems = {_without_ending(job.source) for job in jobs}
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
                "Choose another --output or --output-template.",
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
    """What helps against one result for two pictures."""
    if PurePosixPath(one.source).suffix != PurePosixPath(other.source).suffix:
        return "Add {ext} to --output-template."
    return "Upscale the folders one by one, each with an --output of its own."


def _by_content(job: Job, options: UpscaleOptions) -> Job:
    """The job with the ending that its content leads to; what can't be opened keeps the one of its name."""
    try:
        form = choose_format(open_photo(locate(job.source).read(), job.source, options.allow_truncated), options.format)
    except GramganError:
        return job
    suffix = job.name(form)[len(job.stem) :]
    return replace(job, suffix=suffix, key=job.key.removesuffix(job.suffix) + suffix)


def finished_since(jobs: Iterable[Job], began: float | None) -> int:
    """How many jobs have a result on this computer's disk.

    Args:
        jobs: from a plan.
        began: count results that were written since then, in seconds since 1970; None counts all.
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
