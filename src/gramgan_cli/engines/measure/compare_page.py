"""The page of ``gramgan compare -o page.html``: one file with a before/after slider and synchronised zoom."""

from __future__ import annotations

import base64
import io
import json
import os
from html import escape
from importlib import resources
from pathlib import Path

from PIL import Image

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.engines.measure.compare import Comparison, Version

LARGEST = 40_000_000
"""Most pixels of a version: browsers still zoom it smoothly, and the page stays at a few hundred megabytes."""


def check_size(height: int, width: int, photo: Path) -> None:
    """Raise GramganError if results of ``height`` x ``width`` are too large for a page."""
    if height * width > LARGEST:
        raise GramganError(
            f"Each version of {photo} would have {height * width / 1e6:.0f} megapixels, too many for a page "
            f"({LARGEST / 1e6:.0f}).",
            "Crop the photo first, or write an image such as grid.png.",
        )


def write_page(path: Path, comparison: Comparison) -> None:
    """Write the page as one self-contained file."""
    template = (resources.files("gramgan_cli.engines.measure") / "compare_page.html").read_text(encoding="utf-8")
    name = os.fsencode(comparison.name).decode("utf-8", "replace")  # file names may not be valid text
    facts = {
        "name": name,
        "scale": comparison.scale,
        "versions": [
            {"label": version.label, "caption": version.caption, "source": _data_uri(version)}
            for version in comparison.versions
        ],
    }
    # '<' is written as an escape, so that it can't end the script element.
    text = template.replace("@@TITLE@@", escape(f"{name}, x{comparison.scale}"))
    text = text.replace("@@FACTS@@", json.dumps(facts).replace("<", "\\u003c"))
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _data_uri(version: Version) -> str:
    file = io.BytesIO()
    Image.fromarray(version.image).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
