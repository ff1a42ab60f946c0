"""Data for training and measuring: LR from HR, and benchmark sets. This module does not import torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from gramgan_cli.api.arguments import AnyPath, check_scale
from gramgan_cli.core.data.damage.strength import LEVELS
from gramgan_cli.core.errors import UsageError, check_choice, check_number
from gramgan_cli.core.io.folders import data_dir as default_dir
from gramgan_cli.core.resize.matlab import Border
from gramgan_cli.engines.data import prepare
from gramgan_cli.engines.data.prepare import Presence
from gramgan_cli.recipes.load import load_recipe

__all__ = ["Presence", "datasets", "degrade", "make_lr", "pull_dataset"]


def make_lr(
    hr_dir: AnyPath,
    lr_dir: AnyPath,
    *,
    scale: int = 4,
    border: Border = "symmetric",
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Downscale a folder of pictures like MATLAB's imresize (bicubic, 8 bit).

    Args:
        hr_dir: folder of HR pictures.
        lr_dir: folder for the LR pictures, PNG files with the same stems.
        scale: ratio of HR to LR side, 2 to 16.
        border: ``symmetric`` like MATLAB, or ``replicate`` like the commonly distributed LR sets.
        overwrite: replace existing files.
        on_progress: called with (pictures done, total).

    Returns:
        The LR files.

    Raises:
        UsageError: the scale or the border is not one of those above.
        GramganError: a file exists or can't be read, or two LR files would have the same name.
    """
    check_scale(scale)
    check_choice("border", border, get_args(Border))
    return prepare.make_lr_folder(Path(hr_dir), Path(lr_dir), scale, border, overwrite, on_progress)


def degrade(
    hr_dir: AnyPath,
    lr_dir: AnyPath,
    *,
    scale: int = 4,
    recipe: str | None = None,
    level: Literal["mild", "medium", "strong"] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Downscale and degrade a folder of pictures, like real photos: blurred, noisy and compressed.

    Args:
        hr_dir, lr_dir, scale, overwrite, on_progress: as for ``make_lr``.
        recipe: name or file of a recipe, whose degradation table sets the strength; ``photo`` with a ``level`` and
            ``photo-web`` without by default.
        level: fixed severity, for recipes with the wide degradation model; drawn per picture by default.
        seed: the degradation depends only on the seed and the file name.

    Returns:
        The LR files.

    Raises:
        UsageError: the recipe has no damage or no levels, or a value is not one of those above.
        GramganError: a file exists or can't be read, or two LR files would have the same name.
    """
    check_scale(scale)
    check_number("seed", seed, 0)
    if level is not None:
        check_choice("level", level, LEVELS)
    chosen = damage_recipe(recipe, level)
    strength = load_recipe(chosen).degradation
    if not strength.share:
        raise UsageError(f"The recipe '{chosen}' does not damage photos.", "Choose photo, photo-web or restore.")
    if level:
        strength = prepare.at_level(strength, level, chosen)
    return prepare.degrade_folder(Path(hr_dir), Path(lr_dir), scale, strength, seed, overwrite, on_progress)


def damage_recipe(recipe: str | None, level: str | None) -> str:
    """Recipe for ``degrade``: the given one, else 'photo' with a level and 'photo-web' without."""
    return recipe or ("photo" if level else "photo-web")


def pull_dataset(
    name: str,
    *,
    data_dir: AnyPath | None = None,
    on_progress: Callable[[str, int, int | None], None] = lambda _file, _done, _total: None,
) -> Path:
    """Download a benchmark set. An interrupted download is resumed.

    Args:
        name: Set5, Set14, BSD100, Urban100 or DIV2K.
        data_dir: folder of the sets; ``GRAMGAN_DATA`` or the user's data folder by default.
        on_progress: called with (name of the part, bytes done, total bytes or None).

    Returns:
        Folder of the set.

    Raises:
        GramganError: the set is unknown or has no public download.
        DownloadFailed, Offline: the download failed.
    """
    folder = default_dir() if data_dir is None else Path(data_dir)
    source = prepare.source_of(name)
    return prepare.pull(source, folder, lambda archive: lambda done, total: on_progress(archive.folder, done, total))


def datasets(data_dir: AnyPath | None = None) -> list[Presence]:
    """List the known benchmark sets and other sets in the folder, with their folders and whether they can be pulled.

    Args:
        data_dir: folder of the sets; ``GRAMGAN_DATA`` or the user's data folder by default.
    """
    return prepare.presence([default_dir() if data_dir is None else Path(data_dir)], scale=4)
