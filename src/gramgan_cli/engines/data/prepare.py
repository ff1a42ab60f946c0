"""Preparing data: LR pictures from HR ones, and downloads of benchmark sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.data.catalogue import SOURCES, Archive, Source
from gramgan_cli.core.data.damage.strength import LEVELS, Degradation
from gramgan_cli.core.data.datasets import NAMES, open_dataset, read_picture
from gramgan_cli.core.data.degradation import degrade, picture_draw
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.errors import GramganError, UsageError, first_of, nearest
from gramgan_cli.core.images.formats.pillow import open_image
from gramgan_cli.core.io.download import Progress, download
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.locks import exclusive
from gramgan_cli.core.io.unpack import unpack
from gramgan_cli.core.resize.matlab import Border, crop_to_multiple, make_lr

GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
"""Pillow's modes without colour; their LR is grey, too."""

SHOWN = 10
"""Most unreadable pictures that an error names."""


def make_lr_folder(
    hr_dir: Path,
    lr_dir: Path,
    scale: int,
    border: Border,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the LR of each picture in ``hr_dir`` to ``lr_dir``, as PNG with the same stem.

    LR is made by MATLAB's bicubic ``imresize`` with 8-bit rounding after each pass. HR is first cropped at the right
    and bottom to a multiple of ``scale``. Grey stays grey. ``progress`` is called with (pictures done, total).

    Raises GramganError, before anything is written, if two files share a stem or LR files exist (unless
    ``overwrite``), and at the end for unreadable files, which do not stop the others.
    """
    return _write_lr(hr_dir, lr_dir, lambda source: _reduced(source, scale, border), overwrite, progress)


def degrade_folder(
    hr_dir: Path,
    lr_dir: Path,
    scale: int,
    degradation: Degradation,
    seed: int,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write a degraded LR of each picture in ``hr_dir``: blurred, noisy and compressed, like real photos.

    The degradation depends only on the seed and the file name. Files are PNG, which adds no further loss; grey becomes
    RGB. ``progress`` and errors as in :func:`make_lr_folder`.
    """
    return _write_lr(hr_dir, lr_dir, lambda source: _degraded(source, scale, degradation, seed), overwrite, progress)


def at_level(strength: Degradation, level: str, recipe: str) -> Degradation:
    """Degradation with a fixed severity: 'mild', 'medium' or 'strong'.

    Raises:
        UsageError: the recipe's degradation model has no severity.
    """
    if strength.model != "wide":
        raise UsageError(
            f"The recipe '{recipe}' has only one level of damage.", "Use `level` with recipes such as photo."
        )
    return replace(strength, severity=LEVELS[level])


def _write_lr(
    hr_dir: Path,
    lr_dir: Path,
    make: Callable[[Path], NDArray[np.uint8]],
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
) -> list[Path]:
    """Make the LR of each picture with ``make`` and write it under the picture's stem."""
    pictures = list_pictures(hr_dir)
    if hr_dir.resolve() == lr_dir.resolve():
        raise GramganError(f"HR and LR can't both be {hr_dir}.", "Choose another folder for LR.")
    targets = _targets(pictures, lr_dir, overwrite)

    def write(source: Path, target: Path) -> str:
        try:
            lr = make(source)
        except GramganError as error:
            return str(error)
        _save_png(lr, target)
        return ""

    failed = list[str]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, reason in enumerate(pool.map(write, pictures, targets), 1):
            failed += [reason] if reason else []
            if progress:
                progress(done, len(pictures))
    if failed:
        raise GramganError(
            f"{len(failed)} of {len(pictures)} pictures can't be reduced: {first_of(failed, SHOWN)}",
            "Remove or replace them. Then make all others again with `overwrite`.",
        )
    return targets


def _targets(pictures: Sequence[Path], lr_dir: Path, overwrite: bool) -> list[Path]:
    """LR files of the HR files. Raises GramganError if two are the same or one exists."""
    of: dict[Path, Path] = {}
    for picture in pictures:
        target = lr_dir / f"{picture.stem}.png"
        if target in of:
            raise GramganError(f"{of[target]} and {picture} would both become {target}.", "Rename one of them.")
        if target.exists() and not overwrite:
            raise GramganError(f"{target} already exists.", "Use `overwrite` to replace it.")
        of[target] = picture
    return list(of)


def _read_hr(source: Path, scale: int) -> NDArray[np.uint8]:
    """Read an HR picture. Raises GramganError if it is too small to be downscaled."""
    hr = read_picture(source)
    if min(hr.shape[:2]) < scale:
        raise GramganError(f"{source} has {hr.shape[1]}x{hr.shape[0]} pixels: too small to be reduced by {scale}.")
    return hr


def _reduced(source: Path, scale: int, border: Border) -> NDArray[np.uint8]:
    hr = _read_hr(source, scale)
    with open_image(source) as image:
        grey = image.mode in GREY_MODES
    return make_lr(hr[..., 0] if grey else hr, scale, border)


def _degraded(source: Path, scale: int, degradation: Degradation, seed: int) -> NDArray[np.uint8]:
    hr = np.ascontiguousarray(crop_to_multiple(_read_hr(source, scale), scale))
    return degrade(hr, scale, degradation, picture_draw(source.name, seed))


def _save_png(lr: NDArray[np.uint8], target: Path) -> None:
    with replacing(target) as temporary:
        Image.fromarray(np.ascontiguousarray(lr)).save(temporary, format="PNG")


@dataclass(frozen=True)
class Presence:
    """A dataset and whether it is on this computer."""

    name: str
    folder: Path | None
    """Its folder; None if it is not on this computer."""
    pictures: int
    """Number of pictures found, or in the published set."""
    layout: str
    licence: str
    can_be_pulled: bool


def source_of(name: str) -> Source:
    """Source of a dataset by its name, ignoring case. Raises GramganError for an unknown name."""
    known = {key.casefold(): source for key, source in SOURCES.items()}.get(name.casefold())
    if known is None:
        close = nearest(name, SOURCES)
        listed = f"Available datasets: {', '.join(name for name, source in SOURCES.items() if source.archives)}."
        raise GramganError(
            f"There is no dataset '{name}' to pull.", f"{close} {listed}" if close.startswith("Did") else listed
        )
    return known


def pull(source: Source, data_dir: Path, progress: Callable[[Archive], Progress]) -> Path:
    """Download and unpack a dataset below ``data_dir``, unless it is there already. Returns its folder.

    A lock makes two processes that download the same dataset take turns.

    ``progress`` returns the progress callback for each download. Raises GramganError if the dataset has no public
    download, or if a download fails; a later call resumes it.
    """
    folder = data_dir / source.name
    if not source.archives:
        raise GramganError(
            f"{source.name} has no public download. {source.licence}",
            f"Ask its authors ({source.page}), then put its images into {folder}.",
        )
    with exclusive(data_dir / ".downloads" / f"{source.name}.lock"):
        for archive in source.archives:
            if (folder / archive.folder).is_dir():
                continue
            packed = data_dir / ".downloads" / archive.url.rsplit("/", 1)[-1]
            if not packed.is_file():
                download(archive.url, packed, sha256=archive.sha256, progress=progress(archive))
            unpack(packed, folder / archive.folder)
            packed.unlink()
    return folder


def presence(folders: Sequence[Path], scale: int) -> list[Presence]:
    """All known datasets and other subfolders of ``folders``. If a name occurs twice, the first folder counts."""
    found: dict[str, Presence] = {}
    for parent in folders:
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            if folder.is_dir() and not folder.name.startswith(".") and folder.name not in found:
                found[folder.name] = _look(folder, scale)
    for name in NAMES:
        if name not in found:
            source = SOURCES[name]
            found[name] = Presence(name, None, source.pictures, "", source.licence, bool(source.archives))
    known = {name: index for index, name in enumerate(NAMES)}
    return sorted(found.values(), key=lambda one: (known.get(one.name, len(NAMES)), one.name))


def _look(folder: Path, scale: int) -> Presence:
    """Inspect a dataset's folder. If it can't be read as a dataset, ``layout`` is the error message."""
    source = SOURCES.get(folder.name)
    licence = source.licence if source else ""
    can_be_pulled = source is not None and bool(source.archives)
    try:
        dataset = open_dataset(folder, scale)
    except GramganError as error:
        return Presence(folder.name, folder, 0, error.message, licence, can_be_pulled)
    return Presence(folder.name, folder, len(dataset.pairs), dataset.layout, licence, can_be_pulled)
