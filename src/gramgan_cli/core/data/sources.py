"""Locating the training data that a user names: a known dataset, a folder, a list, or tar shards.

Known datasets have two halves, ``NAME_train_HR`` for training and ``NAME_valid_HR`` for validation. Given LR is in
``NAME_train_LR_bicubic/X4``. Any set with this layout is supported, and any with the folders ``train`` and ``valid``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gramgan_cli.core.data.datasets import find_folder, open_dataset
from gramgan_cli.core.data.listing import LIST_SUFFIX, find_photos
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import is_url, locate

TRAIN, VALID = "_train_HR", "_valid_HR"
PLAIN_HALVES = (("train",), ("valid", "val"))
HR_FOLDERS = ("HR", "GTmod12", "original")
"""Folders of HR images in benchmark layouts."""


@dataclass(frozen=True)
class Located:
    """Location of a named source."""

    location: str
    """Absolute path of a folder or list; or shards, as the user named them."""
    valid: str = ""
    """Absolute path of the set's validation half; empty if it has none."""


def locate_training(text: str, folders: Sequence[Path]) -> Located:
    """Return the training photos that ``text`` names.

    Args:
        text: a known dataset's name in any case, a folder, a ``.txt`` list, or tar shards (path, pattern or URL).
        folders: searched for known datasets and other names before the working folder.

    Raises:
        GramganError: nothing is found, or only a validation half.
    """
    if is_url(text) or text.endswith(".tar"):
        return Located(locate(text).text)
    if Path(text).suffix.lower() == LIST_SUFFIX:
        return Located(str(Path(text).resolve()))
    folder = _folder(text, folders)
    if folder.name.endswith(TRAIN):
        return Located(str(folder), _text(_sibling(folder, TRAIN, VALID)))
    train, valid = _half(folder, TRAIN), _half(folder, VALID)
    if train is not None:
        return Located(str(train), _text(valid))
    if valid is not None:
        raise GramganError(
            f"{folder} contains validation photos ({valid.name}) but no training photos.",
            f"Put training photos into {folder / valid.name.replace(VALID, TRAIN)}, or choose another folder.",
        )
    return Located(_text(_hr_inside(folder)))


def locate_validation(text: str, folders: Sequence[Path]) -> str:
    """Return the validation photos that ``text`` names: a set's validation half, a folder, or a list."""
    if Path(text).suffix.lower() == LIST_SUFFIX:
        return str(Path(text).resolve())
    folder = _folder(text, folders)
    valid = _half(folder, VALID)
    return _text(valid if valid is not None else _hr_inside(folder))


def locate_lr(text: str, hr: str, scale: int, folders: Sequence[Path]) -> str:
    """Return the folder of given LR that ``text`` names for the HR photos at ``hr``.

    ``text`` is that folder itself, or one that contains both: a known dataset, or a folder with ``HR`` and ``LR_x4``.
    """
    folder = _folder(text, folders)
    prefix = Path(hr).name.removesuffix("_HR")
    for candidate in (folder / f"{prefix}_LR_bicubic", folder / f"LR_x{scale}", folder / f"LRbicx{scale}", folder):
        for inside in (candidate / f"X{scale}", candidate):
            if inside.is_dir() and (inside != folder or not _holds_hr(folder)):
                return str(inside)
    raise GramganError(f"There are no LR images for x{scale} in {folder}.", "Pass their folder as `lr_dir`.")


def given_pairs(hr: str, lr: str, scale: int) -> tuple[list[Path], list[Path] | None]:
    """Return the HR photos of a source and, in the same order, their given LR (None if LR is to be made).

    An LR image has the stem of its HR, optionally followed by ``x4``, or ends in ``_LR`` if HR ends in ``_HR``. Without
    ``lr``, pairs in one folder (``*_HR``, ``*_LR``) and an ``LR_x4`` folder beside ``HR`` count as given.

    Raises:
        GramganError: a file has no counterpart.
    """
    source = Path(hr)
    if not lr:
        if source.is_dir() and (dataset := _paired_dataset(source, scale)):
            return dataset
        return find_photos(source), None
    reduced = _by_stem(find_photos(Path(lr)))
    photos, partners = find_photos(source), []
    if Path(lr).resolve() == source.resolve():
        photos = [path for path in photos if not path.stem.endswith("_LR")]
    for photo in photos:
        stem = photo.stem
        names = (stem, f"{stem}x{scale}", f"{stem}_LR", f"{stem.removesuffix('_HR')}_LR")
        found = next((reduced[name] for name in names if name in reduced and reduced[name] != photo), None)
        if found is None:
            raise GramganError(
                f"{photo} has no LR image in {lr} ({len(photos)} HR and {len(reduced)} LR images).",
                f"Looked for {stem} and {stem}x{scale}.",
            )
        partners.append(found)
    return photos, partners


def referenced_pairs(folder: Path, scale: int) -> list[tuple[Path, Path]]:
    """Return (HR photo, most similar reference) pairs of a folder that has both, such as CUFED5; else an empty list."""
    try:
        pairs = open_dataset(folder, scale).pairs
    except GramganError:
        return []
    return [(pair.hr, pair.reference) for pair in pairs if pair.reference is not None]


def _by_stem(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the images by stem; raise if two have the same stem."""
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise GramganError(f"{found[path.stem]} and {path} are both called '{path.stem}'.", "Rename one of them.")
        found[path.stem] = path
    return found


def _paired_dataset(folder: Path, scale: int) -> tuple[list[Path], list[Path]] | None:
    """Return the pairs of a folder, or of an ``HR`` folder's parent, if all LR is given; else None."""
    around = folder.parent if folder.name in HR_FOLDERS else folder
    try:
        pairs = open_dataset(around, scale).pairs
    except GramganError:
        if around != folder or not list(folder.glob("*_LR.*")):
            return None
        raise
    lr = [pair.lr for pair in pairs if pair.lr is not None]
    return ([pair.hr for pair in pairs], lr) if pairs and len(lr) == len(pairs) else None


def _folder(text: str, folders: Sequence[Path]) -> Path:
    """Return the named folder as an absolute path."""
    return find_folder(text.removeprefix("file://"), folders)[0].resolve()


def _half(folder: Path, ending: str) -> Path | None:
    """Return the half of a set, ``NAME_train_HR`` or ``NAME_valid_HR``, in its folder.

    Folders called ``train`` and ``valid`` (or ``val``) are halves too, if both exist.
    """
    found = sorted(path for path in folder.glob(f"*{ending}") if path.is_dir())
    if found:
        return found[0]
    train, valid = (next((folder / name for name in names if (folder / name).is_dir()), None) for names in PLAIN_HALVES)
    if train is None or valid is None:
        return None
    return _hr_inside(train if ending == TRAIN else valid)


def _sibling(folder: Path, ending: str, other: str) -> Path | None:
    """Return the other half next to a half."""
    beside = folder.with_name(folder.name.removesuffix(ending) + other)
    return beside if beside.is_dir() else None


def _hr_inside(folder: Path) -> Path:
    """Return the HR folder of a benchmark layout, or the folder itself."""
    return next((folder / name for name in HR_FOLDERS if (folder / name).is_dir()), folder)


def _holds_hr(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in HR_FOLDERS) or _half(folder, TRAIN) is not None


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)
