"""Models in the repository but not in the package: ``weights/NAME.safetensors`` in a checkout.

They are too large for a wheel. Files are accepted only if they match the catalogue's checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import resources
from pathlib import Path

from gramgan_cli.core.weights.catalogue import read_catalogue
from gramgan_cli.core.weights.embedded import SUFFIX

FOLDER = "weights"
"""Name of the folder at the top of the repository."""


def checkout_model(name: str) -> bytes | None:
    """Return the content of the catalogue's model ``name``, if the checkout has its complete file.

    The checkout is the one that the package runs from (``pip install -e``), or the current folder.
    """
    entry = read_catalogue().get(name)
    for file in _locations(name) if entry else ():
        if entry and file.is_file() and file.stat().st_size == entry.size:
            content = file.read_bytes()
            if hashlib.sha256(content).hexdigest() == entry.sha256:
                return content
    return None


def _locations(name: str) -> Iterator[Path]:
    package = resources.files("gramgan_cli")
    if isinstance(package, Path):  # not inside a zip file
        yield package.parents[1] / FOLDER / (name + SUFFIX)
    with suppress(FileNotFoundError):  # the current folder has been deleted
        yield Path.cwd() / FOLDER / (name + SUFFIX)
