"""Draw docs/pictures/gallery.jpg: crops of the example photos, each reduced to a quarter and enlarged again.

Run by ``make gallery``. Columns: MATLAB's bicubic, the embedded models, the original.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.baselines import BASELINES
from gramgan_cli.core.resize import crop_to_multiple, make_lr
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.upscale import Upscaler

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "pictures" / "gallery.jpg"

CROPS = (
    ("chelsea.png", 132, 64),
    ("coffee.png", 250, 150),
    ("rocket.jpg", 280, 250),
    ("brick.png", 200, 200),
    ("grass.png", 200, 200),
)
"""Photo, and left and top of its crop, in pixels of the original."""

SIDE = 88
ENLARGED = 3
GAP = 6
TITLE = 26
MODELS = ("default", "gramgan-compact")
TITLES = ("bicubic", *MODELS, "original")


def main() -> None:
    """Draw and write the picture."""
    networks = [Upscaler(load_model(name), torch.device("cpu"), 0) for name in MODELS]
    cell = SIDE * ENLARGED
    canvas = Image.new("RGB", (len(TITLES) * (cell + GAP) - GAP, TITLE + len(CROPS) * (cell + GAP) - GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(TITLES):
        draw.text((column * (cell + GAP) + 2, 3), title, "black", ImageFont.load_default(18))
    for row, (file, left, top) in enumerate(CROPS):
        photo = crop_to_multiple(np.asarray(Image.open(ROOT / "examples" / file).convert("RGB")), 4)
        lr = make_lr(photo, 4)
        pictures = [BASELINES["bicubic"](lr), *(network.upscale(lr) for network in networks), photo]
        for column, picture in enumerate(pictures):
            canvas.paste(crop(picture, left, top), (column * (cell + GAP), TITLE + row * (cell + GAP)))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(OUTPUT, quality=92, subsampling=0)
    print(OUTPUT)


def crop(picture: NDArray[np.uint8], left: int, top: int) -> Image.Image:
    """The square at (left, top), its pixels enlarged as squares so that each can be seen."""
    square = Image.fromarray(picture[top : top + SIDE, left : left + SIDE])
    return square.resize((SIDE * ENLARGED, SIDE * ENLARGED), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
