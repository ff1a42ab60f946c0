"""Which files are upscaled, and where each result goes: found out, and checked, before any work."""

from __future__ import annotations

import glob
import os
import string
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, Self

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.formats.capabilities import FORMATS, READ_SUFFIXES, Format, format_of_suffix
from gramgan_cli.core.images.output_format import FormatChoice
from gramgan_cli.core.io.files import UNFINISHED, clear_leftovers
from gramgan_cli.engines.upscale.options import UpscaleOptions

STANDARD = Path("-")
"""Standard input or output."""

LONGEST_NAME = 255
"""Bytes of a file name on the common file systems."""

FIELDS = ("stem", "scale", "model", "ext")
"""What an output template may contain."""


class Named(Protocol):
    """What names of results need of a model: a ``Session``, or the weights of a batch run."""

    @property
    def name(self) -> str:
        """What {model} stands for."""

    @property
    def scale(self) -> int:
        """What {scale} stands for, where the user asks for no other factor."""


@dataclass(frozen=True)
class Naming:
    """How results are called."""

    output: Path | None
    """What ``--output`` names: a file, a folder, standard output, or nothing."""
    template: str
    """File name without its ending, with fields in braces."""
    scale: str
    """What {scale} stands for."""
    model: str
    """What {model} stands for."""
    format: FormatChoice
    """What ``--format`` says."""
    recursive: bool
    """Whether folders inside folders are searched."""

    @classmethod
    def of(cls, output: Path | None, options: UpscaleOptions, model: Named) -> Self:
        """The names that results of these options and this model have."""
        scale = f"{options.size.factor or model.scale:g}"
        return cls(output, options.template, scale, model.name, options.format, options.recursive)


@dataclass(frozen=True)
class Job:
    """One picture to upscale."""

    source: Path
    """The picture, or ``STANDARD``."""
    folder: Path
    """Where its result goes (unused for standard output)."""
    stem: str
    """The result's file name without ending."""
    fixed: Path | None
    """The result's exact path, where the user gave one; ``STANDARD`` for standard output."""
    suffix: str
    """The ending that the result is expected to have."""
    found: bool = False
    """Whether it was found in a folder, not named itself."""

    def path(self, form: Format) -> Path:
        """Where a result of this format goes. JPEG keeps the source's own ending."""
        if self.fixed is not None:
            return self.fixed
        own = self.source.suffix
        suffix = own if own.lower() in form.suffixes and form.name != "png" else form.suffixes[0]
        return self.folder / (self.stem + suffix)

    @property
    def expected(self) -> Path:
        """Where the result goes if the source's ending tells its format."""
        return self.fixed or self.folder / (self.stem + self.suffix)


def _shortened(stem: str, room: int) -> str:
    """The stem, cut to so many bytes where it is longer; no character is cut in two."""
    stored = os.fsencode(stem)
    return stem if len(stored) <= room else stored[:room].decode("utf-8", "ignore")


def plan_jobs(inputs: Sequence[str], output: Path | None, options: UpscaleOptions, model: Named) -> list[Job]:
    """All pictures that the inputs name, each once, in order.

    Args:
        inputs: pictures, folders and globs; ``-`` is standard input.
        output: a file or folder for the results, ``STANDARD`` for standard output; None puts them beside the pictures.
        options: template, format, size and recursive count.
        model: its name and scale, for names of results.

    Raises:
        GramganError: an input that is not there or holds no picture; two results at one path; a result that would
            replace an input; a folder that can't be written to.
        UsageError: options that contradict each other.
    """
    naming = Naming.of(output, options, model)
    check_template(naming.template)
    found = list(_sources(inputs, naming))
    single = len(found) == 1 and not any(Path(text).is_dir() for text in inputs)
    fixed = _fixed_output(naming, single)
    jobs = [plan_job(source, root, naming, fixed) for source, root in found]
    jobs = _without_own_results(jobs)
    _check_collisions(jobs)
    for folder in {job.expected.parent for job in jobs if job.expected != STANDARD}:
        check_writable(folder)
    return jobs


def check_template(template: str) -> None:
    """Raise UsageError where ``--output-template`` has unknown fields or is a path."""
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    except ValueError as error:
        raise UsageError(
            f"--output-template '{template}' can't be read ({error}).", "Write it like {stem}_x{scale}."
        ) from error
    if unknown := fields - set(FIELDS):
        raise UsageError(
            f"--output-template has no field {{{sorted(unknown)[0]}}}.", f"Fields: {', '.join(map(repr, FIELDS))}."
        )
    if "/" in template or "\\" in template or not template:
        raise UsageError("--output-template is a file name without folders.", "Name the folder with --output.")
    try:
        sample = template.format(stem="a", scale="4", model="b", ext="png")
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"--output-template '{template}' can't be read ({error}).", "Its fields are texts: write {stem}_x{scale}."
        ) from error
    if format_of_suffix(Path(sample).suffix):
        raise UsageError(
            f"--output-template '{template}' names an ending, which follows from the format.",
            f"Leave out {'.{ext}' if template.endswith('{ext}') else Path(sample).suffix}, and choose with --format.",
        )


def _sources(inputs: Sequence[str], naming: Naming) -> Iterator[tuple[Path, Path | None]]:
    """Each picture once, with the folder that it was found through (None: it was named itself)."""
    seen: set[Path] = set()
    for text in inputs:
        for source, root in _expanded(text, naming):
            key = source if source == STANDARD else source.absolute()
            if key not in seen:
                seen.add(key)
                yield source, root


def _expanded(text: str, naming: Naming) -> Iterator[tuple[Path, Path | None]]:
    if not text:
        raise UsageError("An input has an empty name.", "Is a variable of the shell not set?")
    path = Path(text)
    if path == STANDARD or path.is_file():
        yield path, None
    elif path.is_dir():
        inside = sorted(_pictures(path, naming))
        if not inside:
            raise GramganError(f"There is no picture in the folder {path}.", "Folders inside it need --recursive.")
        yield from ((picture, path) for picture in inside)
    elif matches := [path for path in map(Path, glob.glob(text, recursive=True)) if path.is_file()]:  # noqa: PTH207
        yield from ((match, None) for match in sorted(matches))
    elif path.is_symlink() or path.exists():
        what, hint = ("neither a file nor a folder", "Pipe it in, with - for its name.")
        if not path.exists():
            what, hint = "a link to nothing", "Name the file itself."
        raise GramganError(f"{path} is {what}.", hint)
    else:
        raise GramganError(f"There is no file or folder {text}.", "Check the name; quote it if it has spaces.")


def _pictures(folder: Path, naming: Naming) -> Iterator[Path]:
    """The picture files of a folder, hidden ones left out; links to folders are not followed.

    The folder of the results is not searched, where it lies inside: an earlier run's results are not enlarged again.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise GramganError(
            f"Can't read the folder {folder}: {error.strerror or error}.", "Name the folders beside it one by one."
        ) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if naming.recursive and not entry.is_symlink() and not _is_output(entry, naming):
                yield from _pictures(entry, naming)
        elif entry.suffix.lower() in READ_SUFFIXES:
            yield entry


def _is_output(folder: Path, naming: Naming) -> bool:
    return naming.output is not None and naming.output.is_dir() and naming.output.samefile(folder)


def _fixed_output(naming: Naming, single: bool) -> Path | None:
    """The exact path of the one result, where ``--output`` names a file; None where it names a folder or nothing."""
    output = naming.output
    if output is None or output.is_dir():
        return None
    if output == STANDARD:
        if not single:
            raise UsageError("Standard output takes one picture.", "Name a folder with --output.")
        return output
    if not output.suffix:
        return None
    form = format_of_suffix(output.suffix)
    if not single:
        if output.suffix.lower() in READ_SUFFIXES or output.is_file():
            raise UsageError(f"--output {output} is a file, but there are several pictures.", "Name a folder.")
        return None
    check_ending(str(output), form, naming.format)
    return output


def check_ending(output: str, form: Format | None, choice: FormatChoice) -> None:
    """Raise UsageError where the file that ``--output`` names, of this format, can't be written, or not as asked."""
    if form is None:
        raise UsageError(
            f"gramgan does not write '{PurePosixPath(output).suffix}' files.",
            f"It writes: {', '.join(suffix for row in FORMATS.values() for suffix in row.suffixes)}.",
        )
    if choice not in ("default", "same", form.name):
        raise UsageError(
            f"--output {output} is a {form.label} file, but --format says {choice}.", "Leave --format out."
        )


def plan_job(source: Path, root: Path | None, naming: Naming, fixed: Path | None) -> Job:
    """The job of one picture, found through the folder ``root`` or named itself."""
    name = "stdin" if source == STANDARD else source.stem
    fields = {"stem": name, "scale": naming.scale, "model": naming.model, "ext": source.suffix[1:].lower()}
    longest_suffix = max(len(source.suffix), 5)
    room = LONGEST_NAME - longest_suffix - len(os.fsencode(naming.template.format(**{**fields, "stem": ""})))
    stem = naming.template.format(**{**fields, "stem": _shortened(name, room)})
    folder = source.parent if naming.output is None or fixed else naming.output
    if naming.output is not None and fixed is None and root is not None:
        folder = naming.output / source.parent.relative_to(root)
    if source == STANDARD and naming.output is None:
        fixed = STANDARD
    return Job(source, folder, stem, fixed, _expected_suffix(source, naming.format), root is not None)


def _expected_suffix(source: Path, choice: FormatChoice) -> str:
    """The result's ending as far as the source's name tells; its content may tell otherwise."""
    if choice not in ("default", "same"):
        form = FORMATS[choice]
    else:
        own = format_of_suffix(source.suffix)
        keeps = own is not None and (choice == "same" or own.name in ("jpg", "webp"))
        form = own if own is not None and keeps else FORMATS["png"]
    return source.suffix if source.suffix.lower() in form.suffixes and form.name != "png" else form.suffixes[0]


def same_place(path: Path) -> str:
    """A key that is equal for paths to one file, as far as the file system's letter case goes."""
    key = str(path.resolve())
    return key.casefold() if sys.platform in ("win32", "darwin") else key


def _without_own_results(jobs: list[Job]) -> list[Job]:
    """Leave out what an earlier run made of the other pictures of the same folder (photo_x4.png beside photo.png).

    Of what was found in a folder, also what it made in another format (photo_x4.jpg).
    """
    results = {same_place(job.expected) for job in jobs if job.expected != STANDARD}
    stems = {same_place(job.folder / job.stem) for job in jobs if job.fixed is None}

    def is_result(job: Job) -> bool:
        if job.source == STANDARD:
            return False
        return same_place(job.source) in results or (job.found and same_place(job.source.with_suffix("")) in stems)

    return [job for job in jobs if not is_result(job)] or jobs


def _check_collisions(jobs: Iterable[Job]) -> None:
    """Two results at one path, or a result at an input's: refused before anything is written."""
    jobs = list(jobs)
    inputs = {same_place(job.source): job.source for job in jobs if job.source != STANDARD}
    taken: dict[str, Job] = {}
    for job in jobs:
        if job.expected == STANDARD:
            continue
        key = same_place(job.expected)
        if key in inputs:
            raise GramganError(
                f"The result of {job.source} would replace the input {inputs[key]}.",
                "Choose another --output or --output-template.",
            )
        if key in taken:
            raise GramganError(
                f"{taken[key].source} and {job.source} would both be written to {job.expected}.",
                "Add {ext} to --output-template, or mirror the folders with --recursive and --output.",
            )
        taken[key] = job


def check_writable(folder: Path) -> None:
    """Make the folder, clear away old leftovers, and write a little file, so that a failure shows before the work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=UNFINISHED) as file:
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise GramganError(
            f"Can't write to the folder {folder}: {error.strerror or error}.", "Name another with --output."
        ) from error
