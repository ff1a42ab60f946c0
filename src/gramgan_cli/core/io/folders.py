"""Where things lie on this computer: the cache (can be fetched or made again) and the data folder (can't)."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from gramgan_cli.core.errors import GramganError


def cache_dir() -> Path:
    """The user's cache folder of gramgan, or what ``GRAMGAN_CACHE`` names. It need not exist yet."""
    return _folder("GRAMGAN_CACHE", platformdirs.user_cache_dir("gramgan", appauthor=False))


def data_dir() -> Path:
    """The user's data folder of gramgan, or what ``GRAMGAN_DATA`` names. It need not exist yet."""
    return _folder("GRAMGAN_DATA", platformdirs.user_data_dir("gramgan", appauthor=False))


def _folder(variable: str, default: str) -> Path:
    text = os.environ.get(variable) or default
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # ~name, and no user is called so
        raise GramganError(
            f"{variable} is '{text}', but its home folder is not known.", "Write the whole path."
        ) from error
