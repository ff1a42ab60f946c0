"""Networks, losses and metrics from outside of the package: of installed packages, and of files that the user names.

An installed package offers them by entry points in the groups ``gramgan.architectures``, ``gramgan.losses`` and
``gramgan.metrics``. A file (``gramgan --plugin FILE.py``) defines dictionaries of the same names: ``architectures``,
``losses``, ``metrics``. docs/extending.md has an example.
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
"""Environment variable that lists plugin files, so that processes started from this one know them too."""


def add_plugin_file(path: Path) -> None:
    """Use a plugin file in this process and in those that it starts.

    Args:
        path: a Python file. Its code runs when the first of its names is looked for.

    Raises:
        UsageError: there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"There is no plugin file {path}.")
    files = [*plugin_files(), path.resolve()]
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(map(str, files)))


def plugin_files() -> list[Path]:
    """The plugin files that are in use."""
    return [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]


def plugins(kind: Kind) -> dict[str, Any]:
    """Name -> object of all plugins of a kind.

    Raises:
        GramganError: a plugin fails while it is loaded, or two plugins offer one name.
    """
    found: dict[str, Any] = {}
    for source, offered in [*_installed(kind), *((str(path), _of_file(path, kind)) for path in plugin_files())]:
        for name, value in offered.items():
            if name in found:
                raise GramganError(f"Two plugins offer '{name}' among {kind}; one is {source}.", "Use one of them.")
            found[name] = value
    return found


def _installed(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """What installed packages offer."""
    found = []
    for point in entry_points(group=f"gramgan.{kind}"):
        try:
            found.append((point.value, {point.name: point.load()}))
        except Exception as error:  # someone else's code may raise anything
            raise _failed(point.value, error) from error
    return found


def _of_file(path: Path, kind: Kind) -> Mapping[str, Any]:
    """What a file offers."""
    offered = getattr(_module(path), kind, {})
    if not isinstance(offered, Mapping):
        raise GramganError(f"{path}: '{kind}' is not a dictionary of names.")
    return offered


@cache
def _module(path: Path) -> Any:
    """The file as a module, run once."""
    spec = importlib.util.spec_from_file_location(f"gramgan_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise GramganError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # someone else's code may raise anything
        raise _failed(str(path), error) from error
    return module


def _failed(source: str, error: Exception) -> GramganError:
    return GramganError(f"The plugin {source} can't be loaded ({type(error).__name__}: {error}).")
