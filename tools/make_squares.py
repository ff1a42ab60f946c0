"""Draw the square of weights for a face, text, sky and fur: five amounts of ``--denoise`` by five of ``--style``.

    python tools/make_squares.py FOLDER

FOLDER holds the photos named in ``PARTS``, on which no model was trained. Each photo is reduced and damaged as the
recipe ``photo`` does it at medium severity, with a fixed seed, so the pictures are the same wherever they are made.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from make_gallery import reduced
from make_readme_picture import upscaler
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.resize.matlab import crop_to_multiple
from gramgan_cli.core.weights.mixing.square import square_model
from gramgan_cli.engines.upscale.upscaler import Upscaler

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"

AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE = 46
"""Side of the part that is shown, in pixels of the reduced photo."""
AROUND = 24
"""Pixels around it that the network sees."""
SCALE, GAP, TITLE = 4, 6, 24


@dataclass(frozen=True)
class Part:
    """What one picture shows: left and top are pixels of the reduced photo."""

    name: str
    photo: str
    left: int
    top: int


PARTS = (
    Part("face", "kodak_portrait.webp", 48, 80),
    Part("text", "colorado_sign.webp", 30, 70),
    Part("sky", "grand_canyon.webp", 90, 24),
    Part("fur", "kitten.webp", 80, 60),
)


def main() -> None:
    """Draw and write the four pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    square = {(denoise, style): upscaler(square_model(denoise, style)) for denoise in AMOUNTS for style in AMOUNTS}
    for part in PARTS:
        path = PICTURES / f"square_{part.name}.jpg"
        draw(window(folder, part), square).save(path, quality=90, subsampling=0)
        print(path)


def window(folder: Path, part: Part) -> NDArray[np.uint8]:
    """The damaged part of a photo, with its surroundings."""
    photo = crop_to_multiple(np.asarray(Image.open(folder / part.photo).convert("RGB")), SCALE)
    lr = reduced(photo, part.photo)
    rows, columns = (slice(start - AROUND, start + SIDE + AROUND) for start in (part.top, part.left))
    return np.ascontiguousarray(lr[rows, columns])


def draw(lr: NDArray[np.uint8], square: dict[tuple[float, float], Upscaler]) -> Image.Image:
    """The part at every amount: ``--denoise`` grows from top to bottom, ``--style`` from left to right."""
    cell = SIDE * SCALE
    step = cell + GAP
    canvas = Image.new("RGB", (len(AMOUNTS) * step - GAP, len(AMOUNTS) * (step + TITLE) - GAP), "white")
    for row, denoise in enumerate(AMOUNTS):
        for column, style in enumerate(AMOUNTS):
            result = square[denoise, style].upscale(lr)
            left, top = column * step, row * (step + TITLE)
            text = f"denoise {denoise:g}, style {style:g}"
            ImageDraw.Draw(canvas).text((left + 2, top + 3), text, "black", ImageFont.load_default(14))
            canvas.paste(shown(result), (left, top + TITLE))
    return canvas


def shown(result: NDArray[np.uint8]) -> Image.Image:
    """The middle of the result."""
    edge, side = AROUND * SCALE, SIDE * SCALE
    return Image.fromarray(result[edge : edge + side, edge : edge + side])


if __name__ == "__main__":
    main()
