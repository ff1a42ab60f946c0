"""What all the Python functions take: paths, lists of them, and keyword arguments that must be known."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from os import fspath
from typing import Any

AnyPath = str | os.PathLike[str]


def listed(value: AnyPath | Sequence[AnyPath]) -> list[str]:
    """One path, or several, as a list of texts."""
    several = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return [fspath(one) for one in several]


def check_known(given: Mapping[str, Any], arguments: type) -> None:
    """Raise TypeError for an argument that the TypedDict ``arguments`` lacks, as Python does for functions."""
    unknown = given.keys() - arguments.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown argument '{min(unknown)}'")
