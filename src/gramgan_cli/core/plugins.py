"""Plugins: networks, losses and metrics from installed packages and from files that the user names.

An installed package offers them as entry points in the groups ``gramgan.architectures``, ``gramgan.losses`` and
``gramgan.metrics``. A file that the user names defines dictionaries ``architectures``, ``losses`` and
``metrics``. docs/extending.md has an example.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from gramgan_cli.core.errors import GramganError, UsageError

Kind = Literal["architectures", "losses", "metrics"]

VARIABLE = "GRAMGAN_PLUGINS"
"""Environment variable that lists plugin files, so that child processes use them too."""


def add_plugin_file(path: Path) -> None:
    """Use a plugin file in this process and its child processes.

    Args:
        path: a Python file. Its code runs when one of its names is first looked up.

    Raises:
        UsageError: there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"There is no plugin file {path}.")
    files = [*plugin_files(), path.resolve()]
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(map(str, files)))


def plugin_files() -> list[Path]:
    """Return the plugin files in use."""
    return [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]


def plugins(kind: Kind) -> dict[str, Any]:
    """Return all plugins of a kind by name.

    Raises:
        GramganError: a plugin fails to load, or two plugins offer the same name.
    """
    found: dict[str, Any] = {}
    for source, offered in [*_installed(kind), *((str(path), _of_file(path, kind)) for path in plugin_files())]:
        for name, value in offered.items():
            if name in found:
                raise GramganError(
                    f"Two plugins define '{name}' in {kind}; one of them is {source}.", "Use one of them."
                )
            found[name] = value
    return found


def _installed(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """Return the plugins of installed packages, as (source, {name: object})."""
    found = []
    for point in entry_points(group=f"gramgan.{kind}"):
        try:
            found.append((point.value, {point.name: point.load()}))
        except Exception as error:  # third-party code may raise anything
            raise _failed(point.value, error) from error
    return found


def _of_file(path: Path, kind: Kind) -> Mapping[str, Any]:
    """Return the plugins that a file defines."""
    offered = getattr(_module(path), kind, {})
    if not isinstance(offered, Mapping):
        raise GramganError(f"{path}: '{kind}' is not a dictionary of names.")
    return offered


@cache
def _module(path: Path) -> Any:
    """Run a plugin file once and return its module."""
    spec = importlib.util.spec_from_file_location(f"gramgan_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise GramganError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # third-party code may raise anything
        raise _failed(str(path), error) from error
    return module


def _failed(source: str, error: Exception) -> GramganError:
    return GramganError(f"The plugin {source} can't be loaded ({type(error).__name__}: {error}).")
