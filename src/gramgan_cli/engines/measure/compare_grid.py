"""The picture of ``gramgan compare``: a column per version, with the whole photo above zoomed crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.capabilities import format_of_suffix
from gramgan_cli.core.io.files import replacing
from gramgan_cli.engines.measure.compare import Comparison, difference

COLUMN = 288
"""Width of a column in pixels."""
CROP = 72
"""Side of the crops in result pixels; each pixel is drawn as 4 x 4."""
CROPS = 3
GAP = 8
LABEL = 24
FRAMES = ("#ff3b30", "#34c759", "#0a84ff")
"""Frame colours of the crops."""


def positions_to_look_at(apart: NDArray[np.float64], side: int, count: int) -> list[tuple[int, int]]:
    """(top, left) of up to ``count`` windows of ``side`` px where ``apart`` (H, W) is largest; best first.

    Windows are at least a third of the shorter side apart, so that they show different parts of the image.
    """
    spread = max(side, min(apart.shape) // 3)
    height, width = (min(side, length) for length in apart.shape)
    mean = uniform_filter(apart, (height, width), mode="constant")
    rows, columns = apart.shape[0] - height + 1, apart.shape[1] - width + 1
    score = mean[height // 2 : height // 2 + rows, width // 2 : width // 2 + columns]
    positions: list[tuple[int, int]] = []
    while len(positions) < count and np.isfinite(score).any():
        top, left = (int(n) for n in np.unravel_index(int(np.argmax(score)), score.shape))
        positions.append((top, left))
        score[max(0, top - spread + 1) : top + spread, max(0, left - spread + 1) : left + spread] = -np.inf
    return positions


def write_grid(path: Path, comparison: Comparison) -> None:
    """Draw the grid and write it in the format of the suffix. Raises GramganError if it is too large for the format."""
    grid = draw_grid(comparison)
    form = format_of_suffix(path.suffix)
    if form is not None and max(grid.size) > form.max_side:
        raise GramganError(
            f"The grid would have {grid.width} x {grid.height} pixels, "
            f"but {form.label} allows at most {form.max_side} per side.",
            "Write it as PNG (`output` grid.png) or as a page (`output` page.html).",
        )
    with replacing(path) as temporary:
        grid.save(temporary, format=Image.registered_extensions()[path.suffix.lower()])


def draw_grid(comparison: Comparison) -> Image.Image:
    """Draw the grid. Crops are taken where the versions differ most and scaled by nearest neighbour."""
    height, width = comparison.versions[0].image.shape[:2]
    positions = positions_to_look_at(difference(comparison), CROP, CROPS)
    whole = (COLUMN, max(1, round(COLUMN * height / width)))
    crop = (COLUMN, COLUMN)
    below = LABEL + whole[1] + GAP
    size = (
        len(comparison.versions) * (COLUMN + GAP) + GAP,
        GAP + below + len(positions) * (crop[1] + GAP),
    )
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=15)
    for index, version in enumerate(comparison.versions):
        left = GAP + index * (COLUMN + GAP)
        draw.text((left, GAP), _fitting(version.caption, draw, font), fill="black", font=font)
        image = Image.fromarray(version.image)
        canvas.paste(image.resize(whole, Image.Resampling.LANCZOS), (left, GAP + LABEL))
        _mark(draw, positions, (left, GAP + LABEL), image.size)
        for row, (y, x) in enumerate(positions):
            corner = (left, GAP + below + row * (crop[1] + GAP))
            part = image.crop((x, y, min(x + CROP, width), min(y + CROP, height)))
            factor = COLUMN // CROP
            part = part.resize((part.width * factor, part.height * factor), Image.Resampling.NEAREST)
            canvas.paste(part, corner)
            draw.rectangle((*corner, corner[0] + part.width - 1, corner[1] + part.height - 1), outline=FRAMES[row])
    return canvas


def _mark(
    draw: ImageDraw.ImageDraw, positions: Sequence[tuple[int, int]], corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Frame the crops on the whole photo, a result of ``size`` (width, height) drawn one column wide at ``corner``."""
    zoom = COLUMN / size[0]
    width, height = (min(CROP, side) * zoom for side in size)
    for (top, left), colour in zip(positions, FRAMES, strict=False):
        x, y = corner[0] + left * zoom, corner[1] + top * zoom
        draw.rectangle((x, y, x + width - 1, y + height - 1), outline=colour, width=2)


def _fitting(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shorten a text to the column's width from the start, since the scores stand at its end."""
    if draw.textlength(text, font=font) <= COLUMN:
        return text
    while len(text) > 1 and draw.textlength("\u2026" + text, font=font) > COLUMN:
        text = text[1:]
    return "\u2026" + text
