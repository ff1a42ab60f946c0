"""Helpers for batch runs: folders of small mixed photos, some of them broken, and the command."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gramgan_cli.cli.app import main

KINDS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP"}


def photo_bytes(index: int, kind: str, side: int = 24) -> bytes:
    """A small photo, different for each index."""
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (side, side + index % 7, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(image).save(content, KINDS[kind])
    return content.getvalue()


def make_archive(folder: Path, count: int, broken: set[int] = frozenset(), side: int = 24) -> list[Path]:
    """Write ``count`` photos in mixed formats; those at the indices ``broken`` are not pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        kind = list(KINDS)[index % len(KINDS)]
        path = folder / f"photo{index:04}.{kind}"
        path.write_bytes(b"no picture" if index in broken else photo_bytes(index, kind, side))
        paths.append(path)
    return paths


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gramgan_cli", *map(str, arguments)]


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def gramgan(*arguments: object) -> Done:
    """Run the command in this process."""
    stdout, stderr, before = io.StringIO(), io.StringIO(), sys.argv
    code: object = 0
    sys.argv = ["gramgan", *map(str, arguments)]
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            main()
    except SystemExit as leaving:
        code = leaving.code or 0
    finally:
        sys.argv = before
    assert isinstance(code, int)
    return Done(code, stdout.getvalue(), stderr.getvalue())


def report(*manifests: object) -> dict[str, Any]:
    return json.loads(gramgan("batch", "report", *manifests, "--json").stdout)


def contents(folder: Path) -> dict[str, bytes]:
    """Contents of results by relative path, without records and unfinished files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".gramgan-results" not in path.parts and not path.name.startswith(".")
    }
