"""Getting data ready: LR pictures from HR ones, and benchmark sets from the network."""

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
from gramgan_cli.core.errors import GramganError, UsageError, nearest
from gramgan_cli.core.images.formats.pillow import open_image
from gramgan_cli.core.io.download import Progress, download
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.io.locks import exclusive
from gramgan_cli.core.io.unpack import unpack
from gramgan_cli.core.resize.matlab import Border, crop_to_multiple, make_lr

GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
"""Pillow's names of pictures without colour: their LR has none either."""


def make_lr_folder(
    hr_dir: Path,
    lr_dir: Path,
    scale: int,
    border: Border,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the LR of every picture in ``hr_dir`` to ``lr_dir``, as PNG under the same stem.

    MATLAB's bicubic ``imresize`` with 8-bit rounding after each pass; HR is cropped right and bottom to a multiple of
    ``scale`` first. Grey stays grey. ``progress`` is called with (pictures done, pictures in all).

    Raises GramganError before anything is written: two files of one stem, LR files that exist (unless ``overwrite``);
    and for unreadable files.
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
    """Write an LR of every picture in ``hr_dir`` as real photos are: blurred, noisy, compressed.

    A picture is always degraded in the same way for one seed and file name. The files are PNG, so that nothing is
    added; grey becomes RGB. ``progress`` and errors as for :func:`make_lr_folder`.
    """
    return _write_lr(hr_dir, lr_dir, lambda source: _degraded(source, scale, degradation, seed), overwrite, progress)


def at_level(strength: Degradation, level: str, recipe: str) -> Degradation:
    """The strength with the severity of that name, 'mild', 'medium' or 'strong', for every picture.

    Raises:
        UsageError: the recipe's model of damage has no severity.
    """
    if strength.model != "wide":
        raise UsageError(
            f"The recipe '{recipe}' damages photos at one level only.", "--level is for recipes such as photo."
        )
    return replace(strength, severity=LEVELS[level])


def _write_lr(
    hr_dir: Path,
    lr_dir: Path,
    make: Callable[[Path], NDArray[np.uint8]],
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
) -> list[Path]:
    """``make`` the LR of every picture and write it under the picture's stem."""
    pictures = list_pictures(hr_dir)
    if hr_dir.resolve() == lr_dir.resolve():
        raise GramganError(f"HR and LR can't both be {hr_dir}.", "Name another folder for LR.")
    targets = _targets(pictures, lr_dir, overwrite)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda source, target: _save_png(make(source), target), pictures, targets)
        for done, _ in enumerate(made, 1):
            if progress:
                progress(done, len(pictures))
    return targets


def _targets(pictures: Sequence[Path], lr_dir: Path, overwrite: bool) -> list[Path]:
    """The LR file of each HR file, checked."""
    of: dict[Path, Path] = {}
    for picture in pictures:
        target = lr_dir / f"{picture.stem}.png"
        if target in of:
            raise GramganError(f"{of[target]} and {picture} would both become {target}.", "Rename one of them.")
        if target.exists() and not overwrite:
            raise GramganError(f"{target} exists already.", "Use --overwrite to replace it.")
        of[target] = picture
    return list(of)


def _read_hr(source: Path, scale: int) -> NDArray[np.uint8]:
    """An HR picture that can be reduced."""
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
    """What is known of a benchmark set on this computer."""

    name: str
    folder: Path | None
    """None where it is not there."""
    pictures: int
    """Pictures found, or that it would have."""
    layout: str
    licence: str
    can_be_pulled: bool


def source_of(name: str) -> Source:
    """Where a set comes from; any case of its name. Raises GramganError for unknown names."""
    known = {key.casefold(): source for key, source in SOURCES.items()}.get(name.casefold())
    if known is None:
        close = nearest(name, SOURCES)
        listed = f"These can be pulled: {', '.join(name for name, source in SOURCES.items() if source.archives)}."
        raise GramganError(
            f"There is no dataset '{name}' to pull.", f"{close} {listed}" if close.startswith("Did") else listed
        )
    return known


def pull(source: Source, data_dir: Path, progress: Callable[[Archive], Progress]) -> Path:
    """Fetch and unpack a set under ``data_dir``; what is there already is left as it is. Returns its folder.

    Two processes that fetch one set do it one after the other.

    ``progress`` gives the listener for each archive. Raises GramganError for sets without a public address, and for
    whatever goes wrong on the way; a later call goes on from there.
    """
    folder = data_dir / source.name
    if not source.archives:
        raise GramganError(
            f"{source.name} has no public address. {source.licence}",
            f"Ask its makers ({source.page}), then put its pictures into {folder}.",
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
    """Every known set, and every other folder of pictures under ``folders``, the first folder first."""
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
    """What lies in a folder; one that can't be read as a set says why in place of its layout."""
    source = SOURCES.get(folder.name)
    licence = source.licence if source else ""
    can_be_pulled = source is not None and bool(source.archives)
    try:
        dataset = open_dataset(folder, scale)
    except GramganError as error:
        return Presence(folder.name, folder, 0, error.message, licence, can_be_pulled)
    return Presence(folder.name, folder, len(dataset.pairs), dataset.layout, licence, can_be_pulled)
