"""Draw the README's picture: a part of a damaged photo, and the same enlarged by bicubic, gramgan and a peer.

    python tools/make_readme_picture.py [PHOTO] [--peer NAME|FILE]

The photo is one that no model was trained on. It is reduced and damaged as the recipe ``photo-web`` does it, with a
fixed seed, so that the picture is the same wherever it is made. The peer is Real-ESRGAN's large network: ``gramgan
models pull realesrgan-x4plus`` brings it, or ``--peer`` names a file of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.data.degradation import degrade, picture_draw
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.resize.matlab import crop_to_multiple
from gramgan_cli.core.weights.mixing.square import chosen_model
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import open_session
from gramgan_cli.engines.upscale.upscaler import Upscaler
from gramgan_cli.recipes.load import load_recipe

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "pictures" / "readme.jpg"

PHOTO = ROOT / "shared" / "data" / "valid" / "kitten.webp"
"""CC0 1.0, from BuddiesOfBudgie/budgie-backgrounds (backgrounds/kitten-on-lawn.jpg, a quarter of its size)."""

PEER, PEER_TITLE = "realesrgan-x4plus", "Real-ESRGAN x4plus"
SEED = 77
LEFT, TOP, SIDE = 94, 50, 64
"""The shown part, in pixels of the downscaled photo."""
AROUND = 16
"""Pixels around it that networks also see."""
SCALE, GAP, TITLE = 4, 6, 30


def main() -> None:
    """Draw and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=PHOTO)
    parser.add_argument("--peer", default=PEER, help="a model's name or file")
    chosen = parser.parse_args()
    lr = damaged(chosen.photo)
    part = slice(TOP - AROUND, TOP + SIDE + AROUND), slice(LEFT - AROUND, LEFT + SIDE + AROUND)
    window = np.ascontiguousarray(lr[part])
    panels = {
        "the damaged photo": window.repeat(SCALE, axis=0).repeat(SCALE, axis=1),
        "bicubic": BASELINES["bicubic"](window),
        "gramgan": enlarged(lr, *part, chosen_model()),
        PEER_TITLE: enlarged(lr, *part, chosen.peer),
    }
    sheet(panels).save(TARGET, quality=92, subsampling=0)
    print(TARGET)


def damaged(photo: Path) -> NDArray[np.uint8]:
    """The photo at a quarter of its size, slightly blurred, noisy and compressed, like photos from the web."""
    pixels = crop_to_multiple(np.asarray(Image.open(photo).convert("RGB")), SCALE)
    return degrade(pixels, SCALE, load_recipe("photo-web").degradation, picture_draw(f"{photo.stem}.png", SEED))


def enlarged(lr: NDArray[np.uint8], rows: slice, columns: slice, model: str) -> NDArray[np.uint8]:
    """A part of the photo, upscaled by four."""
    whole = upscaler(model).upscale(lr)
    top, left = rows.start * SCALE, columns.start * SCALE
    return whole[top : rows.stop * SCALE, left : columns.stop * SCALE]


def upscaler(model: str) -> Upscaler:
    """A model, as ``gramgan upscale`` runs it."""
    source = open_session(UpscaleOptions(model=model, device="cpu", backend="torch")).source
    assert isinstance(source, Upscaler)
    return source


def sheet(panels: dict[str, NDArray[np.uint8]]) -> Image.Image:
    """Draw the panels' centres side by side, each below its title."""
    cell, edge = SIDE * SCALE, AROUND * SCALE
    canvas = Image.new("RGB", (len(panels) * (cell + GAP) - GAP, TITLE + cell), "white")
    for column, (title, picture) in enumerate(panels.items()):
        position = column * (cell + GAP), TITLE
        ImageDraw.Draw(canvas).text((position[0] + 2, 5), title, "black", ImageFont.load_default(18))
        canvas.paste(Image.fromarray(picture[edge : edge + cell, edge : edge + cell]), position)
    return canvas


if __name__ == "__main__":
    main()
