"""Photos compressed with JPEG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

SAMPLINGS = {(False, False): 0, (False, True): 1, (True, True): 2}
"""Halved rows and columns -> Pillow's ``subsampling``."""


def reduced_photo(name: str = "coffee.png", factor: float = 2.0) -> NDArray[Any]:
    """An example photo, reduced so that it has no traces of a compression of its own."""
    photo = Image.open(EXAMPLES / name).convert("RGB")
    return np.array(photo.resize((int(photo.width / factor), int(photo.height / factor)), Image.Resampling.BICUBIC))


def compressed(image: NDArray[Any], quality: int, **options: Any) -> NDArray[Any]:
    """An image, written as JPEG by Pillow and read again; options are those of ``Image.save``."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, **options)
    return np.array(Image.open(file).convert("RGB"))
