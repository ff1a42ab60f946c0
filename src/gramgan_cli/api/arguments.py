"""Arguments of the Python API: paths, lists of paths and checked keyword arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from os import fspath
from typing import Any

from gramgan_cli.core.errors import check_number

AnyPath = str | os.PathLike[str]

LEAST_SCALE, MOST_SCALE = 2, 16
"""Scale factors of interpolations and of LR, as the commands take them."""


def check_scale(scale: object) -> None:
    """Raise UsageError unless ``scale`` is a whole number that the commands take."""
    check_number("scale", scale, LEAST_SCALE, MOST_SCALE)


def listed(value: AnyPath | Sequence[AnyPath]) -> list[str]:
    """Convert one path or name, or several, to a list of strings."""
    several = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return [fspath(one) for one in several]


def check_known(given: Mapping[str, Any], arguments: type) -> None:
    """Raise TypeError for a keyword that the TypedDict ``arguments`` lacks, as Python functions do."""
    unknown = given.keys() - arguments.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown argument '{min(unknown)}'")
