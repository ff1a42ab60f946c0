"""Draw what smoothing JPEG's blocks and restoration before the network do: parts of four held-out photos at quality 25.

    python tools/make_jpeg_blocks_picture.py FOLDER

FOLDER holds the photos named in ``PARTS``, on which no model was trained.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from make_readme_picture import upscaler
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.resize.matlab import crop_to_multiple, make_lr
from gramgan_cli.core.weights.mixing.square import chosen_model
from gramgan_cli.engines.upscale.upscaler import Upscaler

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "jpeg_blocks.jpg"

QUALITY = 25
SIDE = 60
"""Side of a part, in pixels of the reduced photo."""
SCALE, GAP, TITLE = 4, 6, 24

Array = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """What one row shows: left and top are pixels of the reduced photo."""

    photo: str
    left: int
    top: int


PARTS = (
    Part("colorado_sign.webp", 70, 20),
    Part("grand_canyon.webp", 110, 32),
    Part("giraffe.webp", 66, 14),
    Part("kodak_portrait.webp", 14, 54),
)


def main() -> None:
    """Draw and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    default = upscaler(chosen_model())
    titles = (f"JPEG, quality {QUALITY}", "the network alone", "smoothed and cleaned first", "the original")
    cell = SIDE * SCALE
    canvas = Image.new("RGB", (len(titles) * (cell + GAP) - GAP, TITLE + len(PARTS) * (cell + GAP) - GAP), "white")
    for column, title in enumerate(titles):
        ImageDraw.Draw(canvas).text((column * (cell + GAP) + 2, 3), title, "black", ImageFont.load_default(14))
    for row, part in enumerate(PARTS):
        for column, shown in enumerate(versions(folder / part.photo, part, default)):
            canvas.paste(Image.fromarray(shown), (column * (cell + GAP), TITLE + row * (cell + GAP)))
    canvas.save(PICTURE, quality=90, subsampling=0)
    print(PICTURE)


def versions(photo: Path, part: Part, model: Upscaler) -> Iterator[Array]:
    """The part in each of the columns."""
    original = crop_to_multiple(np.asarray(Image.open(photo).convert("RGB")), SCALE)
    file = io.BytesIO()
    Image.fromarray(make_lr(original, SCALE)).save(file, "JPEG", quality=QUALITY)
    lr = np.array(Image.open(file))
    alone = np.concatenate(list(model.network_bands(lr)))
    for enlarged in (lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1), alone, model.upscale(lr), original):
        yield enlarged[part.top * SCALE :, part.left * SCALE :][: SIDE * SCALE, : SIDE * SCALE]


if __name__ == "__main__":
    main()
