"""The installation: ``doctor`` and plugins."""

from __future__ import annotations

from pathlib import Path

from gramgan_cli.api.arguments import AnyPath
from gramgan_cli.core.plugins import add_plugin_file
from gramgan_cli.engines.doctor import Diagnosis, diagnose

__all__ = ["Diagnosis", "add_plugin", "doctor"]


def doctor() -> Diagnosis:
    """Report versions, devices, backends, folders, missing dependencies and ways to make gramgan faster."""
    return diagnose()


def add_plugin(file: AnyPath) -> None:
    """Add the networks, losses and metrics of a Python file, in this process and its child processes.

    The file is executed when one of its names is first needed.

    Raises:
        UsageError: the file does not exist.
    """
    add_plugin_file(Path(file))
