"""Models that the repository carries and the package does not: ``weights/NAME.safetensors`` in a checkout.

They are larger than a wheel should be. The catalogue has their checksum, so only the file that it means is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from gramgan_cli.core.weights.catalogue import read_catalogue
from gramgan_cli.core.weights.embedded import SUFFIX

FOLDER = "weights"
"""The folder's name, at the top of the repository."""


def checkout_model(name: str) -> bytes | None:
    """The content of the catalogue's model ``name``, if the checkout holds its file whole.

    The checkout is the one that the package runs from (``pip install -e``), or the one that is the current folder.
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
    if isinstance(package, Path):  # and not inside an archive
        yield package.parents[1] / FOLDER / (name + SUFFIX)
    yield Path.cwd() / FOLDER / (name + SUFFIX)
