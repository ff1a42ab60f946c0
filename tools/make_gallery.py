"""Draw the pictures of the README and the model cards: crops of example photos, downscaled and upscaled again.

    python tools/make_gallery.py [--peer NAME|FILE]

Run by ``make gallery``. Columns: MATLAB bicubic, models, the original. For ``photo`` and ``photo-gan``, the photos are
degraded by the recipe ``photo`` at medium severity; for the others, downscaled by MATLAB's bicubic. The pictures of
``photo-gan`` also show a peer, Real-ESRGAN's large network: ``gramgan models pull realesrgan-x4plus`` brings it, or
``--peer`` names a file of it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from make_readme_picture import PEER, PEER_TITLE, upscaler
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.data.damage.strength import LEVELS
from gramgan_cli.core.data.degradation import degrade, picture_draw
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.resize.matlab import crop_to_multiple, make_lr
from gramgan_cli.recipes.load import load_recipe

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"

CROPS = (
    ("chelsea.png", 132, 64),
    ("coffee.png", 250, 150),
    ("rocket.jpg", 280, 250),
    ("brick.png", 200, 200),
    ("grass.png", 200, 200),
)
"""Photos, with left and top of the crop in pixels of the original."""

SIDE = 88
ENLARGED = 3
GAP = 6
TITLE = 26
SEED = 1


@dataclass(frozen=True)
class Sheet:
    """One picture."""

    name: str
    models: tuple[str, ...]
    degraded: bool = False
    peer: bool = False
    """Whether the peer has a column."""


SHEETS = (
    Sheet("gallery", ("clean", "clean-gan")),
    Sheet("gallery_photo", ("photo", "photo-gan"), degraded=True, peer=True),
    Sheet("gallery_photo_gan_clean", ("clean", "photo-gan"), peer=True),
    Sheet("gallery_rrdbnet_small", ("clean", "rrdbnet-small")),
)


def main() -> None:
    """Draw and write all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=PEER, help="a model's name or file")
    peer = parser.parse_args().peer
    for sheet in SHEETS:
        path = PICTURES / f"{sheet.name}.jpg"
        draw(sheet, peer).save(path, quality=92, subsampling=0)
        print(path)


def draw(sheet: Sheet, peer: str) -> Image.Image:
    """Draw a sheet with crops in rows and versions in columns; ``peer`` is the peer's name or file."""
    columns = {name: name for name in sheet.models} | ({PEER_TITLE: peer} if sheet.peer else {})
    titles = ("bicubic", *columns, "original")
    models = [upscaler(name) for name in columns.values()]
    cell = SIDE * ENLARGED
    canvas = Image.new("RGB", (len(titles) * (cell + GAP) - GAP, TITLE + len(CROPS) * (cell + GAP) - GAP), "white")
    for column, title in enumerate(titles):
        ImageDraw.Draw(canvas).text((column * (cell + GAP) + 2, 3), title, "black", ImageFont.load_default(18))
    for row, (file, left, top) in enumerate(CROPS):
        photo = crop_to_multiple(np.asarray(Image.open(ROOT / "examples" / file).convert("RGB")), 4)
        lr = reduced(photo, file) if sheet.degraded else make_lr(photo, 4)
        pictures = [BASELINES["bicubic"](lr), *(model.upscale(lr) for model in models), photo]
        for column, picture in enumerate(pictures):
            canvas.paste(crop(picture, left, top), (column * (cell + GAP), TITLE + row * (cell + GAP)))
    return canvas


def reduced(photo: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """A photo, downscaled and degraded like users' photos."""
    strength = replace(load_recipe("photo").degradation, severity=LEVELS["medium"])
    return degrade(photo, 4, strength, picture_draw(name, SEED))


def crop(picture: NDArray[np.uint8], left: int, top: int) -> Image.Image:
    """The square at (left, top), zoomed by nearest neighbour."""
    square = Image.fromarray(picture[top : top + SIDE, left : left + SIDE])
    return square.resize((SIDE * ENLARGED, SIDE * ENLARGED), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
