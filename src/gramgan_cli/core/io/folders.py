"""Folders of gramgan on this computer: the cache, which can be recreated, and user data, which can't."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from gramgan_cli.core.errors import GramganError


def cache_dir() -> Path:
    """Return the user's cache folder, or ``GRAMGAN_CACHE``. It may not exist yet."""
    return _folder("GRAMGAN_CACHE", platformdirs.user_cache_dir("gramgan", appauthor=False))


def data_dir() -> Path:
    """Return the user's data folder, or ``GRAMGAN_DATA``. It may not exist yet."""
    return _folder("GRAMGAN_DATA", platformdirs.user_data_dir("gramgan", appauthor=False))


def _folder(variable: str, default: str) -> Path:
    text = os.environ.get(variable) or default
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # ~name of an unknown user
        raise GramganError(
            f"{variable} is '{text}', but that user has no home folder.", "Write the full path."
        ) from error
