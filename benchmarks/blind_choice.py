"""A blind left/right choice between two models, for viewers who trained neither.

    python benchmarks/blind_choice.py make --hr-dir HELD_OUT --first clean --second clean-gan --out choice
    python benchmarks/blind_choice.py score --out choice --answers answers.txt

``make`` writes sheets of pairs (crops of held-out photos, downscaled and upscaled again, with the models randomly left
or right) and ``key.json``, which must not be opened before the answers are complete. Crops are taken from textured
parts, the same number per photo. An answer is a line ``NUMBER L`` or ``NUMBER R``, for the preferred side. ``score``
prints the second model's share with its 95 % interval (Wilson).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import read_rgb
from gramgan_cli.core.resize.matlab import crop_to_multiple, make_lr
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.upscale.upscaler import Upscaler

SIDE, ENLARGED, PAIRS_A_ROW, ROWS, GAP = 160, 2, 2, 3, 12
TEXTURED = 0.02
"""Standard deviation of a crop, of values in [0, 1], from which it counts as textured."""


def textured_crops(hr: NDArray[np.uint8], count: int, draw: np.random.Generator) -> list[tuple[int, int]]:
    """(top, left) of textured crops, multiples of 4."""
    found: list[tuple[int, int]] = []
    for _ in range(10_000):
        top, left = (4 * int(draw.integers((side - SIDE) // 4 + 1)) for side in hr.shape[:2])
        apart = all(abs(top - t) + abs(left - f) > SIDE // 2 for t, f in found)
        if apart and hr[top : top + SIDE, left : left + SIDE].std(axis=(0, 1)).mean() >= 255 * TEXTURED:
            found.append((top, left))
        if len(found) == count:
            break
    return found


def make(arguments: argparse.Namespace) -> None:
    """Write sheets and key."""
    draw = np.random.default_rng(arguments.seed)
    photos = list_pictures(arguments.hr_dir)
    models = [Upscaler(load_model(name), torch.device("cpu")) for name in (arguments.first, arguments.second)]
    pairs: list[tuple[Image.Image, Image.Image]] = []
    key: list[str] = []
    for photo in photos:
        hr = crop_to_multiple(read_rgb(photo), 4)
        results = [model.upscale(make_lr(hr, 4)) for model in models]
        for top, left in textured_crops(hr, math.ceil(arguments.count / len(photos)), draw):
            crops = [Image.fromarray(result[top : top + SIDE, left : left + SIDE]) for result in results]
            second_is_left = bool(draw.random() < 0.5)
            pairs.append((crops[1], crops[0]) if second_is_left else (crops[0], crops[1]))
            key.append("L" if second_is_left else "R")
    order = draw.permutation(len(pairs))[: arguments.count]
    arguments.out.mkdir(parents=True, exist_ok=True)
    per_sheet = PAIRS_A_ROW * ROWS
    for sheet, start in enumerate(range(0, len(order), per_sheet)):
        numbered = [(start + i + 1, pairs[at]) for i, at in enumerate(order[start : start + per_sheet])]
        draw_sheet(numbered).save(arguments.out / f"sheet_{sheet:02d}.png")
    names = {"first": arguments.first, "second": arguments.second}
    text = json.dumps({**names, "second_is": {str(i + 1): key[at] for i, at in enumerate(order)}}, indent=1)
    (arguments.out / "key.json").write_text(text, encoding="utf-8")


def draw_sheet(pairs: list[tuple[int, tuple[Image.Image, Image.Image]]]) -> Image.Image:
    """Draw numbered pairs, with pixels doubled."""
    cell = SIDE * ENLARGED
    width, height = 2 * cell + 4, cell + 26
    canvas = Image.new("RGB", (PAIRS_A_ROW * (width + GAP), ROWS * (height + GAP)), "white")
    pen = ImageDraw.Draw(canvas)
    for position, (number, sides) in enumerate(pairs):
        left, top = position % PAIRS_A_ROW * (width + GAP), position // PAIRS_A_ROW * (height + GAP)
        pen.text((left, top), f"{number}:  L | R", "black", ImageFont.load_default(20))
        for side, crop in enumerate(sides):
            enlarged = crop.resize((cell, cell), Image.Resampling.BICUBIC)
            canvas.paste(enlarged, (left + side * (cell + 4), top + 26))
    return canvas


def score(arguments: argparse.Namespace) -> None:
    """Print the second model's share."""
    key = json.loads((arguments.out / "key.json").read_text(encoding="utf-8"))
    answers = dict(line.split() for line in arguments.answers.read_text(encoding="utf-8").splitlines() if line.strip())
    missing = key["second_is"].keys() - answers.keys()
    if missing:
        raise SystemExit(f"No answer for {', '.join(sorted(missing, key=int))}.")
    wins = sum(answers[number].upper() == side for number, side in key["second_is"].items())
    n, z = len(key["second_is"]), 1.96
    share = wins / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    print(f"{key['second']} rather than {key['first']}: {wins} of {n} ({middle - half:.0%} to {middle + half:.0%})")


def main() -> None:
    """Make or score."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("--hr-dir", type=Path, required=True)
    making.add_argument("--first", required=True)
    making.add_argument("--second", required=True)
    making.add_argument("--count", type=int, default=100)
    making.add_argument("--seed", type=int, default=0)
    making.set_defaults(run=make)
    scoring = commands.add_parser("score")
    scoring.add_argument("--answers", type=Path, required=True)
    scoring.set_defaults(run=score)
    for each in (making, scoring):
        each.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
