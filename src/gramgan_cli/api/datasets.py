"""Pictures to measure on and to learn from: LR made of HR, and the benchmark sets. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gramgan_cli.api.arguments import AnyPath
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
    """Reduce a folder of pictures as MATLAB's imresize does (bicubic, 8 bit).

    Args:
        hr_dir: folder of sharp pictures.
        lr_dir: folder for PNG files of the same names.
        scale: HR side over LR side.
        border: ``symmetric`` as MATLAB, ``replicate`` as the sets that are passed around were made.
        overwrite: replace files that exist.
        on_progress: called with the pictures that are done, and all pictures.

    Returns:
        The files.

    Raises:
        GramganError: a file exists or can't be read, or two would have the same name.
    """
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
    """Reduce a folder of pictures to what real photos look like: blurred, noisy, compressed.

    Args:
        hr_dir: folder of sharp pictures.
        lr_dir: folder for PNG files of the same names.
        scale: HR side over LR side.
        recipe: name or file of the recipe whose degradation table says how strong; see ``damage_recipe``.
        level: the same severity for every picture, for recipes of the wide model.
        seed: the same seed degrades a picture of the same name alike.
        overwrite: replace files that exist.
        on_progress: called with the pictures that are done, and all pictures.

    Returns:
        The files.

    Raises:
        UsageError: a level for a recipe that has none.
        GramganError: a file exists or can't be read, or two would have the same name.
    """
    chosen = damage_recipe(recipe, level)
    strength = load_recipe(chosen).degradation
    if level:
        strength = prepare.at_level(strength, level, chosen)
    return prepare.degrade_folder(Path(hr_dir), Path(lr_dir), scale, strength, seed, overwrite, on_progress)


def damage_recipe(recipe: str | None, level: str | None) -> str:
    """The recipe that ``degrade`` takes: the given one, else 'photo' with a level and 'photo-web' without."""
    return recipe or ("photo" if level else "photo-web")


def pull_dataset(
    name: str,
    *,
    data_dir: AnyPath | None = None,
    on_progress: Callable[[str, int, int | None], None] = lambda _file, _done, _total: None,
) -> Path:
    """Fetch a benchmark set; a fetch that was cut off continues where it stopped.

    Args:
        name: Set5, Set14, BSD100, Urban100 or DIV2K.
        data_dir: where sets lie; ``GRAMGAN_DATA`` or the user's data folder by default.
        on_progress: called with the folder that is fetched, the bytes that have come, and all bytes where known.

    Returns:
        The set's folder.

    Raises:
        GramganError: no set has that name, or it has no public location.
        DownloadFailed, Offline: it could not be fetched.
    """
    folder = default_dir() if data_dir is None else Path(data_dir)
    source = prepare.source_of(name)
    return prepare.pull(source, folder, lambda archive: lambda done, total: on_progress(archive.folder, done, total))


def datasets(data_dir: AnyPath | None = None) -> list[Presence]:
    """The benchmark sets that are known, and other sets in the folder: where each lies, and whether it can be fetched.

    Args:
        data_dir: where sets lie; ``GRAMGAN_DATA`` or the user's data folder by default.
    """
    return prepare.presence([default_dir() if data_dir is None else Path(data_dir)], scale=4)
