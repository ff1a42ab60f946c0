"""The models that travel inside the package: every ``gramgan_cli/weights/NAME.safetensors``."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

SUFFIX = ".safetensors"

CLEAN = "clean"
"""The model for clean photos, and the faithful end of ``style``."""


def embedded_models() -> dict[str, Traversable]:
    """Name -> file inside the package (which may lie in an archive), sorted by name."""
    folder = resources.files("gramgan_cli") / "weights"
    files = {file.name.removesuffix(SUFFIX): file for file in folder.iterdir() if file.name.endswith(SUFFIX)}
    return dict(sorted(files.items()))
