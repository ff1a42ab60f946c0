"""Make training pictures of leaves: pieces of photos and plain colours, cut along sharp outlines, one over another.

    python tools/make_leaves.py leaves photos more-photos --count 350 --seed 900
    gramgan train --recipe psnr --hr-dir photos --hr-dir more-photos --hr-dir leaves

Photos from the web are soft and compressed; these have edges as sharp as reduction leaves them, over what photos show.
The model of random overlapping shapes with radii by a power law is that of "dead leaves" (Lee, Mumford, Huang 2001,
"Occlusion models for natural images", section 2). Pictures are drawn at three times their size and reduced.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from gramgan_cli.core.data.prepared import read_rgb

SIDE, DRAWN = 352, 3
WIDTH = SIDE * DRAWN
"""Side of a picture in pixels, as saved and as drawn."""
PHOTOS = 70
"""Number of randomly chosen photos kept in memory."""
SMALLEST, LARGEST, EXPONENT = 6, 170, 1.3
"""Radii of the leaves in pixels of the saved picture. The share of radii above r falls as r to the -EXPONENT."""
FILTERS = (Image.Resampling.BOX, Image.Resampling.HAMMING, Image.Resampling.LANCZOS)

Colour = tuple[int, int, int]
Point = tuple[float, float]


def some_photos(rng: Generator, folders: list[Path]) -> list[Image.Image]:
    """Photos upscaled by at most 2.2, so that they are sharp, too, once the picture is downscaled."""
    endings = {".jpg", ".jpeg", ".png"}
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix.lower() in endings)
    photos = []
    for number in rng.permutation(len(files))[:PHOTOS]:
        photo = Image.fromarray(read_rgb(files[number]))
        factor = rng.uniform(0.9, 2.2)
        size = max(360, int(photo.width * factor)), max(360, int(photo.height * factor))
        photos.append(photo.resize(size, Image.Resampling.BICUBIC))
    return photos


def colour(rng: Generator) -> Colour:
    """A muted colour or grey; one in four is dark, some of the others bright."""
    hues, grey = rng.random(3), rng.random()
    levels = hues * 0.6 + grey * 0.4 if rng.random() < 0.6 else np.full(3, grey) + rng.normal(0, 0.06, 3)
    if rng.random() < 0.25:
        levels = levels * 0.15
    elif rng.random() < 0.15:
        levels = 1 - 0.15 * (1 - levels)
    red, green, blue = (int(level) for level in np.clip(levels * 255, 0, 255))
    return red, green, blue


def outline(rng: Generator, x: float, y: float, radius: float) -> list[Point]:
    """Corners of a smooth blob, a polygon or a bar about (x, y)."""
    kind = rng.random()
    if kind < 0.55:
        return turned(rng, *blob(rng), (x, y), radius)
    if kind < 0.8:
        angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 7)))
        return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    half = rng.uniform(0.04, 0.3)
    return turned(rng, np.array([-1, 1, 1, -1]), np.array([-half, -half, half, half]), (x, y), 1.6 * radius)


def blob(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """A circle with waves of two to six periods, flattened to 35 to 100 % of its height."""
    angles = np.linspace(0, 2 * math.pi, 140, endpoint=False)
    radii = np.ones(140)
    for periods in range(2, 7):
        radii += rng.normal(0, 0.28 / periods) * np.cos(periods * angles + rng.uniform(0, 6.3))
    radii = np.maximum(radii, 0.15)
    return radii * np.cos(angles), rng.uniform(0.35, 1) * radii * np.sin(angles)


def turned(rng: Generator, across: np.ndarray, down: np.ndarray, centre: Point, radius: float) -> list[Point]:
    """Corners rotated by a random angle and scaled by the radius, about the centre."""
    angle = rng.uniform(0, 6.3)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = centre
    return [
        (x + radius * (p * cos - q * sin), y + radius * (p * sin + q * cos)) for p, q in zip(across, down, strict=True)
    ]


def piece(rng: Generator, photos: list[Image.Image], width: int, height: int) -> Image.Image:
    """A piece of a photo; half of them with changed contrast and brightness."""
    photo = photos[rng.integers(len(photos))]
    if photo.width < width or photo.height < height:
        photo = photo.resize((max(width, photo.width), max(height, photo.height)), Image.Resampling.BICUBIC)
    x, y = (int(rng.integers(room)) for room in (photo.width - width + 1, photo.height - height + 1))
    cut = photo.crop((x, y, x + width, y + height))
    if rng.random() < 0.5:
        gain, offset = rng.uniform(0.7, 1.9), rng.uniform(-30, 30)
        cut = cut.point([int(min(255, max(0, (level - 128) * gain + 128 + offset))) for level in range(256)] * 3)
    return cut


def stripes(rng: Generator, width: int, height: int) -> Image.Image:
    """Two colours in stripes of 1.5 to 12 pixels of the saved picture, with soft or sharp edges."""
    angle, period = rng.uniform(0, 6.3), rng.uniform(3, 24) * DRAWN
    down, across = np.mgrid[0:height, 0:width]
    wave = np.sin((across * math.cos(angle) + down * math.sin(angle)) * 2 * math.pi / period)
    share = (wave * rng.choice([1.0, 50.0])).clip(-1, 1) * 0.5 + 0.5
    first, second = np.array(colour(rng)), np.array(colour(rng))
    return Image.fromarray((first + (second - first) * share[..., None]).astype(np.uint8))


def lay(rng: Generator, picture: Image.Image, photos: list[Image.Image]) -> None:
    """Add one leaf: plain, a piece of a photo or stripes, some with an outline."""
    radius = DRAWN * min(LARGEST, SMALLEST * (1 - rng.random()) ** (-1 / EXPONENT))
    corners = outline(rng, *rng.uniform(0, WIDTH, 2), radius)
    draw, kind = ImageDraw.Draw(picture), rng.random()
    if kind < 0.45:
        draw.polygon(corners, fill=colour(rng))
    else:
        across, down = zip(*corners, strict=True)
        left, top = int(max(0, min(across))), int(max(0, min(down)))
        right, bottom = int(min(WIDTH, max(across) + 1)), int(min(WIDTH, max(down) + 1))
        width, height = right - left, bottom - top
        if width < 4 or height < 4:
            return
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in corners], fill=255)
        fill = piece(rng, photos, width, height) if kind < 0.85 else stripes(rng, width, height)
        picture.paste(fill, (left, top), mask)
    if rng.random() < 0.35:
        draw.line(corners + corners[:2], fill=colour(rng), width=int(DRAWN * rng.uniform(0.7, 6)), joint="curve")


def leaves(rng: Generator, photos: list[Image.Image]) -> Image.Image:
    """A picture of 40 to 169 leaves on a piece of a photo or a plain colour."""
    plain = rng.random() >= 0.6
    picture = Image.new("RGB", (WIDTH, WIDTH), colour(rng)) if plain else piece(rng, photos, WIDTH, WIDTH)
    for _ in range(int(rng.integers(40, 170))):
        lay(rng, picture, photos)
    return picture.resize((SIDE, SIDE), FILTERS[rng.integers(3)])


def main() -> None:
    """Read photos and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("photos", type=Path, nargs="+", help="folders of photos")
    parser.add_argument("--count", type=int, default=350)
    parser.add_argument("--seed", type=int, default=900)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    photos = some_photos(rng, arguments.photos)
    if not photos:
        sys.exit(f"No JPEG or PNG in {', '.join(map(str, arguments.photos))}.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        leaves(rng, photos).save(arguments.out / f"leaves{arguments.seed}_{number:04d}.png")
    print(f"{arguments.count} pictures of {SIDE}x{SIDE} in {arguments.out}.")


if __name__ == "__main__":
    main()
