"""Running the upscaler on one file or many, in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from photo_corpus import scene, with_pillow
from PIL import Image

from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.pipeline import upscale_files
from gramgan_cli.engines.upscale.plan import plan_jobs
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import Session, open_session

PNG = with_pillow(scene(3), "PNG")
JPEG = with_pillow(scene(3), "JPEG")


def put(path: Path, data: bytes = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)).replace(os.sep, "/") for path in folder.rglob("*") if path.is_file())


def session_of(model: str, tile: Any = "auto") -> Session:
    """Session of a model on the CPU."""
    return open_session(UpscaleOptions(model=model, device="cpu", tile=tile))


def upscale(
    inputs: Sequence[Path | str],
    output: Path | None = None,
    session: Session | None = None,
    **options: Any,
) -> list[Result]:
    """Results of ``gramgan upscale --model nearest INPUT...``."""
    chosen = UpscaleOptions(model="nearest", device="cpu", **options)
    session = session or open_session(chosen)
    plan = plan_jobs([str(path) for path in inputs], output and str(output), chosen, session)
    return list(upscale_files(plan.jobs, session, chosen))


def upscale_one(data: bytes, folder: Path, name: str, **options: Any) -> Result:
    """Write ``data`` to a file ``name`` and upscale it by nearest neighbour."""
    (folder / name).write_bytes(data)
    return upscale([folder / name], **options)[0]


def decoded(path: Path) -> np.ndarray:
    """Pixels (H, W, C) of a file, decoded by other libraries than those that the code under test uses."""
    if path.suffix in (".tif", ".tiff"):
        image = tifffile.imread(path)
    elif path.suffix == ".png":
        image = imagecodecs.png_decode(path.read_bytes())
    else:
        image = np.asarray(Image.open(path))
    return image if image.ndim == 3 else image[:, :, None]
