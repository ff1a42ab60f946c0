"""Models inside the package: every ``gramgan_cli/weights/NAME.safetensors``."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

SUFFIX = ".safetensors"

CLEAN = "clean"
"""The model for clean photos, and the end of ``style`` with the highest fidelity."""

RESTORE = "restore"
"""The model that cleans damaged photos at their own size, before another one enlarges them."""


def embedded_models() -> dict[str, Traversable]:
    """Return the files inside the package by name, sorted. The package may be a zip file."""
    folder = resources.files("gramgan_cli") / "weights"
    files = {file.name.removesuffix(SUFFIX): file for file in folder.iterdir() if file.name.endswith(SUFFIX)}
    return dict(sorted(files.items()))
