"""Which files of a folder are pictures."""

from __future__ import annotations

from pathlib import Path

from gramgan_cli.core.errors import GramganError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})
"""Kinds of files that training and measuring read."""


def list_pictures(folder: Path) -> list[Path]:
    """The picture files right inside ``folder``, sorted by name. An absent or empty folder is an error."""
    if not folder.is_dir():
        raise GramganError(f"There is no folder {folder}.")
    pictures = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not pictures:
        raise GramganError(f"There are no pictures in {folder}.", f"Looked for {', '.join(sorted(SUFFIXES))}.")
    return pictures
