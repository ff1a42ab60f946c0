"""Folders of this computer as the page lists them, for users who don't know a path by heart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.capabilities import READ_SUFFIXES

MOST_NAMES = 500
"""Folders, and photos, that are listed at most."""


def listing(text: str) -> dict[str, Any]:
    """Folders and photos inside a folder; hidden ones are left out.

    Args:
        text: a path; empty is the user's home folder, and ``~`` stands for it.

    Raises:
        GramganError: there is no such folder, or it can't be read.
    """
    folder = absolute(text)
    if not folder.is_dir():
        raise GramganError(f"There is no folder {folder}.", "Check the name.")
    folders, photos = [], []
    try:
        for entry in sorted(folder.iterdir(), key=lambda path: path.name.casefold()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.suffix.lower() in READ_SUFFIXES:
                photos.append(entry.name)
    except OSError as error:
        raise GramganError(f"Can't read the folder {folder}: {error.strerror or error}.", "Choose another.") from error
    return {
        "path": str(folder),
        "parent": None if folder.parent == folder else str(folder.parent),
        "folders": folders[:MOST_NAMES],
        "photos": photos[:MOST_NAMES],
        "photo_count": len(photos),
    }


def absolute(text: str) -> Path:
    """The path that a user typed, absolute. Raises GramganError where ``~name`` is nobody's home."""
    try:
        path = Path(text.strip() or "~").expanduser()
    except RuntimeError as error:
        raise GramganError(f"There is no folder {text}.", "Check the name.") from error
    return path if path.is_absolute() else Path.home() / path
