"""Running the upscaler in tests, on one file or many, without starting a process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from gramgan_cli.engines.upscale.pipeline import Machine, Record, Settings, open_machine, upscale_files
from gramgan_cli.engines.upscale.plan import Naming, plan_jobs


def upscale(
    inputs: Sequence[Path | str],
    output: Path | None = None,
    machine: Machine | None = None,
    template: str = "{stem}_x{scale}",
    recursive: bool = False,
    **settings: Any,
) -> list[Record]:
    """The records of ``gramgan upscale --model nearest INPUT...``."""
    naming = Naming(output, template, "4", "nearest", settings.get("format", "default"), recursive)
    jobs = plan_jobs([str(path) for path in inputs], naming)
    return list(upscale_files(jobs, machine or open_machine("nearest", "cpu", None), Settings(**settings)))


def upscale_one(data: bytes, folder: Path, name: str, **options: Any) -> Record:
    """Write ``data`` under ``name`` and upscale it by repeating pixels."""
    (folder / name).write_bytes(data)
    return upscale([folder / name], **options)[0]


def decoded(path: Path) -> np.ndarray:
    """The file's pixels, (H, W, C), by other libraries than the code under test uses for the format."""
    if path.suffix in (".tif", ".tiff"):
        image = tifffile.imread(path)
    elif path.suffix == ".png":
        image = imagecodecs.png_decode(path.read_bytes())
    else:
        image = np.asarray(Image.open(path))
    return image if image.ndim == 3 else image[:, :, None]
