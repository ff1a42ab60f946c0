"""Which photos an archive run is about, and where each result goes: folders, globs, single files and manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.formats.capabilities import READ_SUFFIXES
from gramgan_cli.core.io.locations import LocalPlace, Place, is_address, place
from gramgan_cli.engines.batch.records import FOLDER, read_table
from gramgan_cli.engines.upscale.plan import Naming, check_template, plan_job

MANIFESTS = (".txt", ".jsonl", ".parquet")
"""Endings of files that list photos."""


@dataclass(frozen=True)
class Photo:
    """One photo of an archive."""

    input: str
    """Path or address."""
    folder: str
    """Folder of its result, relative to the folder of results; '' for that folder itself."""
    stem: str
    """File name of its result without the ending."""
    suffix: str
    """The ending that the result is expected to have."""
    named: bool = False
    """Whether the person named the result itself, which then decides its format."""

    @property
    def result(self) -> str:
        """Where its result is expected, relative to the folder of results."""
        name = self.stem + self.suffix
        return f"{self.folder}/{name}" if self.folder else name


def list_photos(inputs: Sequence[str], output: Place, naming: Naming) -> list[Photo]:
    """All photos that the inputs name, each once, in order.

    Args:
        inputs: pictures, folders, globs and manifests, here or elsewhere.
        output: folder of results. Pictures in it that are results of others are left out.
        naming: how results are called; its own ``output`` is not looked at.

    Raises:
        GramganError: an input that is not there or names no picture, two results at one place, a result that would
            replace a photo.
    """
    check_template(naming.template)
    photos: dict[str, Photo] = {}
    found_in_folders: set[str] = set()
    for text in inputs:
        for file, root, in_folder in _expanded(text, naming.recursive, output):
            if file.text not in photos:
                photos[file.text] = _photo(file, root, naming)
                if in_folder:
                    found_in_folders.add(file.text)
    return _checked(list(photos.values()), found_in_folders, output)


def is_manifest(text: str) -> bool:
    """Whether an input is a list of photos, by its ending."""
    return PurePosixPath(text).suffix.lower() in MANIFESTS


def of_shard(photos: Iterable[Photo], number: int, count: int) -> list[Photo]:
    """The photos of one of ``count`` fixed parts. A photo's part depends on its own name only, not on the others."""
    return [photo for photo in photos if _hash(photo.result) % count == number % count]


def parse_shard(text: str | None) -> tuple[int, int]:
    """'3/8' as (3, 8); (0, 1), which is everything, for None. Numbers may start at 0 or at 1: 8/8 is 0/8."""
    if text is None:
        return 0, 1
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(count) > 0 and int(number) <= int(count)):
        raise UsageError(f"--shard '{text}' is not a part of a whole.", "Write 0/8 to 7/8, or 1/8 to 8/8.")
    return int(number), int(count)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big")


def _expanded(text: str, recursive: bool, output: Place) -> Iterator[tuple[Place, tuple[str, ...], bool]]:
    """(photo, the folder that its result's place is relative to, whether it was found by listing a folder)."""
    where = place(text)
    if is_manifest(text):
        files = [_entry(entry, where) for entry in _entries(where)]
        root = _common([file.parts[:-1] for file in files])
        yield from ((file, root, False) for file in files)
        return
    if isinstance(where, LocalPlace) and where.path.is_file():
        yield where, where.parts[:-1], False
        return
    if where.is_folder():
        pictures = [file for file in where.files(recursive) if _is_picture(file, where, output)]
        if not pictures:
            raise GramganError(f"There is no picture in the folder {text}.", "Folders inside it need --recursive.")
        yield from ((file, where.parts, True) for file in pictures)
        return
    matches = where.matches() if any(mark in text for mark in "*?[") else []
    if not matches and not where.exists():
        raise GramganError(f"There is no file or folder {text}.")
    yield from ((file, file.parts[:-1], False) for file in matches or [where])


def _is_picture(file: Place, folder: Place, output: Place) -> bool:
    """A visible picture, and not in the folder of results or of records where those lie inside ``folder``."""
    below = file.parts[len(folder.parts) :]
    inside_output = len(output.parts) > len(folder.parts) and file.parts[: len(output.parts)] == output.parts
    hidden = any(part.startswith(".") or part == FOLDER for part in below)
    return not inside_output and not hidden and file.suffix.lower() in READ_SUFFIXES


def _entries(manifest: Place) -> Iterator[str]:
    """The paths that a manifest lists."""
    content = manifest.read()
    kind = manifest.suffix.lower()
    if kind == ".parquet":
        paths = _parquet_paths(content, manifest.text)
    else:
        try:
            lines = [line.removesuffix("\r") for line in content.decode("utf-8-sig").split("\n")]
        except UnicodeDecodeError as error:
            raise GramganError(f"{manifest.text} is not UTF-8 text ({error}).") from error
        paths = _json_paths(lines, manifest.text) if kind == ".jsonl" else iter(lines)
    empty = True
    for path in paths:
        if path.strip():
            empty = False
            yield path
    if empty:
        raise GramganError(f"{manifest.text} lists no photos.")


def _json_paths(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            path = json.loads(line)["path"]
        except (ValueError, KeyError, TypeError) as error:
            raise GramganError(f"Line {number} of {name} is no JSON object with a 'path'.") from error
        if not isinstance(path, str):
            raise GramganError(f"Line {number} of {name}: 'path' is not a text.")
        yield path


def _parquet_paths(content: bytes, name: str) -> Iterator[str]:
    try:
        table = read_table(content)
    except (OSError, ValueError) as error:
        raise GramganError(f"{name} is not a readable Parquet file ({error}).") from error
    if "path" not in table.column_names:
        raise GramganError(f"{name} has no column 'path'.", f"It has: {', '.join(table.column_names)}.")
    for number, path in enumerate(table.column("path").to_pylist()):
        if not isinstance(path, str):
            raise GramganError(f"Row {number} of {name}: 'path' is not a text.")
        yield path


def _entry(path: str, manifest: Place) -> Place:
    """What a line of a manifest names; a relative path is relative to the manifest's folder."""
    if is_address(path) or Path(path).is_absolute():
        return place(path)
    return manifest.parent / path if not isinstance(manifest, LocalPlace) else place(str(manifest.parent.path / path))


def _without_ending(text: str) -> str:
    return text.removesuffix(PurePosixPath(text).suffix)


def _common(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The longest beginning that all have."""
    first, last = min(folders), max(folders)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def _photo(file: Place, root: tuple[str, ...], naming: Naming) -> Photo:
    job = plan_job(Path(file.name), None, naming, None)
    folder = "/".join(part for part in file.parts[len(root) : -1] if part != "/")
    return Photo(file.text, folder, job.stem, job.suffix)


def _checked(photos: list[Photo], found_in_folders: set[str], output: Place) -> list[Photo]:
    """Without results of other photos; two results at one place, or a result at a photo's, are refused."""
    places = [(output / photo.result).text for photo in photos]
    stems = {(output / photo.folder / photo.stem).text for photo in photos}  # also of results in another format
    pairs = list(zip(photos, places, strict=True))
    kept = [
        pair for pair in pairs if pair[0].input not in found_in_folders or _without_ending(pair[0].input) not in stems
    ] or pairs
    inputs = {photo.input for photo, _ in kept}
    taken: dict[str, Photo] = {}
    for photo, where in kept:
        if where in inputs:
            raise GramganError(
                f"The result of {photo.input} would replace the input {where}.",
                "Choose another --output or --output-template.",
            )
        if where in taken:
            raise GramganError(
                f"{taken[where].input} and {photo.input} would both be written to {where}.",
                "Add {ext} to --output-template, or mirror the folders with --recursive.",
            )
        taken[where] = photo
    return [photo for photo, _ in kept]
