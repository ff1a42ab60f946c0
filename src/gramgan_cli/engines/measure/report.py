"""The report of ``gramgan bench --report``: the table, and the same enlarged crop of HR, bicubic and every model."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from gramgan_cli import __version__
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.resize.baselines import bicubic
from gramgan_cli.engines.measure.bench import Result, Score, Values, convention

Pixels = NDArray[np.uint8]

CROP = 96
"""Side of the crops in HR pixels."""
ENLARGED = 288
"""Side that they are shown at, each pixel a square."""

KINDS = (".html", ".md")

HEADINGS = {
    "psnr_y": ("PSNR Y, dB", "{:.4f}", 1.0),
    "ssim_y": ("SSIM Y", "{:.4f}", 1.0),
    "gram_4": ("Gram 4, 1e-4", "{:.3f}", 1e4),
    "gram_8": ("Gram 8, 1e-4", "{:.3f}", 1e4),
    "gram_16": ("Gram 16, 1e-4", "{:.3f}", 1e4),
    "spectrum": ("spectrum, dB", "{:.3f}", 1.0),
}
"""Metric -> heading, format, and the factor that brings it to a readable size."""


ACCURACY = ("psnr_y", "ssim_y")
TEXTURE_TITLE = "Distance of the texture from HR's (0: equal)"


def cell(metric: str, value: float) -> str:
    """A metric's value as the tables show it."""
    _, form, factor = HEADINGS[metric]
    return form.format(value * factor)


def accuracy_table(scores: Sequence[Score]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: PSNR, SSIM and speed."""
    headings, rows = _table(scores, [metric for metric in scores[0].values if metric in ACCURACY])
    speeds = [[f"{score.seconds:.2f}", f"{score.megapixels_per_second:.2f}"] for score in scores]
    return [*headings, "seconds", "Mpixel/s"], [row + speed for row, speed in zip(rows, speeds, strict=True)]


def texture_table(scores: Sequence[Score]) -> tuple[list[str], list[list[str]]] | None:
    """Headings and rows of the texture distances, None where none was measured."""
    metrics = [metric for metric in scores[0].values if metric not in ACCURACY]
    return _table(scores, metrics) if metrics else None


def _table(scores: Sequence[Score], metrics: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    headings = ["dataset", "model", *(HEADINGS[metric][0] for metric in metrics)]
    rows = [
        [score.dataset, score.model, *(cell(metric, score.values[metric]) for metric in metrics)] for score in scores
    ]
    return headings, rows


@dataclass
class PictureRow:
    """One picture's crops."""

    dataset: str
    name: str
    grey: bool
    place: tuple[int, int]
    """Top and left of the crop in HR."""
    tiles: list[tuple[str, Pixels, Values]] = field(default_factory=list)
    """Label, crop and scores of HR, bicubic and each model; HR has no scores, nor has bicubic unless it is measured."""


def busiest_place(hr: Pixels, plain: Pixels, side: int) -> tuple[int, int]:
    """Top and left of the ``side`` x ``side`` window where ``plain`` (H, W, 3) is furthest from HR: the hardest."""
    height, width = (min(side, length) for length in hr.shape[:2])
    error = np.abs(hr.astype(np.float64) - plain).sum(axis=2)
    mean = uniform_filter(error, (height, width), mode="constant")
    rows, columns = hr.shape[0] - height + 1, hr.shape[1] - width + 1
    inside = mean[height // 2 : height // 2 + rows, width // 2 : width // 2 + columns]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(top), int(left)


class Gallery:
    """Collects the crops while ``bench`` runs: hand ``add`` to its ``on_result``."""

    def __init__(self) -> None:
        self.rows: list[PictureRow] = []

    def add(self, result: Result) -> None:
        """Take the crop of one result; the first one of a picture brings HR and bicubic along."""
        if not self.rows or (self.rows[-1].dataset, self.rows[-1].name) != (result.dataset, result.sample.name):
            plain = bicubic(result.sample.lr, result.sample.hr.shape[0] // result.sample.lr.shape[0])
            place = busiest_place(result.sample.hr, plain, CROP)
            row = PictureRow(result.dataset, result.sample.name, result.sample.grey, place)
            row.tiles = [("HR", _crop(result.sample.hr, place), {}), ("bicubic", _crop(plain, place), {})]
            self.rows.append(row)
        row = self.rows[-1]
        if result.model == "bicubic":
            row.tiles[1] = ("bicubic", row.tiles[1][1], result.values)
        else:
            row.tiles.append((result.model, _crop(result.sr, row.place), result.values))


def _crop(image: Pixels, place: tuple[int, int]) -> Pixels:
    top, left = place
    return image[top : top + CROP, left : left + CROP].copy()


def check_report_path(path: Path, overwrite: bool) -> None:
    """Before the work starts: the suffix is one that can be written, and nothing is in the way."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"--report writes .html or .md, not '{path.name}'.", "Name the file accordingly.")
    pictures = [_pictures_folder(path)] if path.suffix.lower() == ".md" else []
    for target in (path, *pictures):
        if target.exists() and not overwrite:
            raise UsageError(f"{target} exists already.", "Use --overwrite to replace it.")


def _pictures_folder(path: Path) -> Path:
    """Where a Markdown report's pictures go."""
    return path.with_name(f"{path.stem}_pictures")


def write_report(path: Path, scale: int, scores: Sequence[Score], rows: Sequence[PictureRow]) -> None:
    """Write the report, as one self-contained page or as Markdown with its pictures in a folder beside it."""
    text = _html(scale, scores, rows) if path.suffix.lower() == ".html" else _markdown(path, scale, scores, rows)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names may be no text


def _facts(scale: int) -> str:
    facts = "; ".join(f"{key}: {value}" for key, value in convention(scale).items())
    return f"x{scale}. {facts}. gramgan {__version__}."


def _caption(label: str, values: Values) -> str:
    scores = ", ".join(cell(metric, value) for metric, value in values.items() if metric in ACCURACY)
    return f"{label} {scores}".strip()


def _png(crop: Pixels, factor: int = 1) -> bytes:
    """The crop as a PNG file, each pixel a square of ``factor``."""
    file = io.BytesIO()
    Image.fromarray(crop.repeat(factor, axis=0).repeat(factor, axis=1)).save(file, format="PNG", optimize=True)
    return file.getvalue()


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
.crops { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0 0 2rem; }
figure { margin: 0; }
figure img { display: block; image-rendering: pixelated; }
figcaption { font-size: 13px; }
p.convention { max-width: 60rem; color: #555; font-size: 13px; }
"""


def _html(scale: int, scores: Sequence[Score], rows: Sequence[PictureRow]) -> str:
    texture = texture_table(scores)
    tables = _html_table(*accuracy_table(scores))
    if texture:
        tables += f"<h2>{escape(TEXTURE_TITLE)}</h2>\n{_html_table(*texture)}"
    pictures = "\n".join(_html_row(row) for row in rows)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>gramgan bench, x{scale}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f'<body>\n<h1>gramgan bench, x{scale}</h1>\n{tables}<p class="convention">{escape(_facts(scale))}</p>\n'
        f"{pictures}\n</body>\n</html>\n"
    )


def _html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>\n"


def _html_row(row: PictureRow) -> str:
    figures = []
    for label, crop, values in row.tiles:
        height, width = (length * ENLARGED // CROP for length in crop.shape[:2])
        source = "data:image/png;base64," + base64.b64encode(_png(crop)).decode("ascii")
        text = escape(_caption(label, values))
        figures.append(
            f'<figure><img src="{source}" width="{width}" height="{height}" alt="{text}">'
            f"<figcaption>{text}</figcaption></figure>"
        )
    return f"<h2>{escape(_title(row))}</h2>\n<div class='crops'>{''.join(figures)}</div>"


def _title(row: PictureRow) -> str:
    top, left = row.place
    note = ", grey counted as RGB" if row.grey else ""
    return f"{row.dataset}, {row.name} (from {left}, {top}{note})"


def _markdown(path: Path, scale: int, scores: Sequence[Score], rows: Sequence[PictureRow]) -> str:
    lines = [f"# gramgan bench, x{scale}", "", *_markdown_table(*accuracy_table(scores))]
    texture = texture_table(scores)
    if texture:
        lines += ["", f"{TEXTURE_TITLE}:", "", *_markdown_table(*texture)]
    lines += ["", _facts(scale), ""]
    folder = _pictures_folder(path)
    for number, row in enumerate(rows):
        pictures = []
        for index, (_, crop, _) in enumerate(row.tiles):
            picture = folder / f"{number:03d}_{index}.png"
            with replacing(picture) as temporary:
                temporary.write_bytes(_png(crop, ENLARGED // CROP))
            pictures.append(f"![]({folder.name.replace(' ', '%20')}/{picture.name})")
        captions = [_caption(label, values) for label, _, values in row.tiles]
        lines += [f"## {_title(row)}", "", _line(captions), _line(["---"] * len(captions)), _line(pictures), ""]
    return "\n".join(lines)


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(headings), _line(["---", "---", *["---:"] * (len(headings) - 2)]), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"
