"""Folder listings for the web interface's file dialog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.capabilities import READ_SUFFIXES

MOST_NAMES = 500
"""Most folders, and most photos, in a listing."""


def listing(text: str) -> dict[str, Any]:
    """List the folders and photos in a folder, without hidden ones.

    Args:
        text: path, which may begin with ``~``; empty means the user's home folder.

    Raises:
        GramganError: the folder does not exist or can't be read.
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
    """Make a path that the user typed absolute. Raises GramganError for ``~name`` of an unknown user."""
    try:
        path = Path(text.strip() or "~").expanduser()
    except RuntimeError as error:
        raise GramganError(f"There is no folder {text}.", "Check the name.") from error
    return path if path.is_absolute() else Path.home() / path
