"""Listing the image files of a folder."""

from __future__ import annotations

import re
from pathlib import Path

from gramgan_cli.core.errors import GramganError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})
"""Suffixes of images that training and measuring read."""

LIST_SUFFIX = ".txt"
"""Suffix of a file that lists images, one path per line."""

_LR_FOLDER = re.compile(r"(.*_)?LR(_.*|bic.*)?|[xX][2348]")
"""Names of folders with reduced images, which are not used for training."""

_RUN_FILE = "recipe.toml"
"""File that marks a training run's folder, which contains sample images."""


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def list_pictures(folder: Path) -> list[Path]:
    """Return the image files directly in ``folder``, sorted by name. Raises if there are none or no such folder."""
    if not folder.is_dir():
        raise GramganError(f"There is no folder {folder}.")
    return _some(sorted(path for path in folder.iterdir() if _is_picture(path)), folder)


def find_photos(source: Path) -> list[Path]:
    """Return the photos of a training source: a folder with its subfolders, or a list of files.

    A list has the suffix ``.txt`` and one path per line, relative to the list's folder. Empty lines and lines that
    start with ``#`` are ignored. Hidden subfolders, those of reduced images (``LR``, ``LR_x4``, ``*_LR_bicubic``,
    ``X4``) and training runs are skipped.

    Returns:
        Sorted paths; those of a list in its order.

    Raises:
        GramganError: the source is missing or empty, or a listed file is missing.
    """
    if source.suffix.lower() == LIST_SUFFIX:
        return _listed(source)
    if not source.is_dir():
        raise GramganError(f"There is no folder {source}.")
    return _some(sorted(_nested(source)), source)


def _nested(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir():
        if _is_picture(path):
            found.append(path)
        elif path.is_dir() and not path.is_symlink() and not _is_left_out(path):
            found += _nested(path)
    return found


def _is_left_out(folder: Path) -> bool:
    name = folder.name
    return name.startswith(".") or bool(_LR_FOLDER.fullmatch(name)) or (folder / _RUN_FILE).is_file()


def _some(pictures: list[Path], source: Path) -> list[Path]:
    if not pictures:
        raise GramganError(f"There are no images in {source}.", f"Looked for {', '.join(sorted(SUFFIXES))}.")
    return pictures


def _listed(file: Path) -> list[Path]:
    """Return the images that a list names."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise GramganError(f"There is no list {file}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise GramganError(f"{file} can't be read as a list of images: {error}.", "Save it as UTF-8 text.") from error
    photos = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        path = file.parent / text
        if not path.is_file():
            raise GramganError(f"{file}, line {number}: there is no file {path}.")
        photos.append(path)
    return _some(photos, file)
