"""This installation: what it has and lacks, and networks, losses and metrics of the user's own."""

from __future__ import annotations

from pathlib import Path

from gramgan_cli.api.arguments import AnyPath
from gramgan_cli.core.plugins import add_plugin_file
from gramgan_cli.engines.doctor import Diagnosis, diagnose

__all__ = ["Diagnosis", "add_plugin", "doctor"]


def doctor() -> Diagnosis:
    """Versions, devices, backends and folders, missing dependencies, and what would make gramgan faster here."""
    return diagnose()


def add_plugin(file: AnyPath) -> None:
    """Add networks, losses and metrics of a Python file, in this process and in those that it starts.

    The file runs when the first of its names is looked for.

    Raises:
        UsageError: there is no such file.
    """
    add_plugin_file(Path(file))
