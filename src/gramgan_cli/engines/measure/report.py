"""Reports of ``gramgan bench --report``: tables, and a zoomed crop of HR, bicubic and each model."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from gramgan_cli import __version__
from gramgan_cli.core.data.grey import as_rgb8
from gramgan_cli.core.errors import TargetExists, UsageError, in_plain_words
from gramgan_cli.core.io.files import check_target, replacing
from gramgan_cli.core.resize.matlab import Levels
from gramgan_cli.engines.measure.bench import Enlarged, Measured
from gramgan_cli.engines.measure.conventions import Values
from gramgan_cli.engines.measure.metrics import ACCURACY
from gramgan_cli.engines.measure.tables import (
    DIFFERENCES_TITLE,
    FAILURES_TITLE,
    OTHER_TITLE,
    Table,
    accuracy_table,
    csv_paths,
    csv_texts,
    differences_table,
    failures_table,
    other_table,
    tex_text,
)

Pixels = NDArray[np.uint8]

CROP = 96
"""Side of the crops in HR pixels."""
ENLARGED = 288
"""Side in pixels at which crops are shown, scaled by nearest neighbour."""

KINDS = (".html", ".md", ".csv", ".tex")
WITH_PICTURES = (".html", ".md")


@dataclass
class PictureRow:
    """Crops of one picture."""

    dataset: str
    name: str
    grey: bool
    position: tuple[int, int]
    """(top, left) of the crop in HR."""
    tiles: list[tuple[str, Pixels, Values]] = field(default_factory=list)
    """Label, crop and scores of HR, bicubic and each model. HR has no scores; bicubic only if it is measured."""


def busiest_position(hr: Pixels, plain: Pixels, side: int) -> tuple[int, int]:
    """(top, left) of the ``side`` x ``side`` window where ``plain`` (H, W, 3) differs most from HR."""
    height, width = (min(side, length) for length in hr.shape[:2])
    error = np.abs(hr.astype(np.float64) - plain).sum(axis=2)
    mean = uniform_filter(error, (height, width), mode="constant")
    rows, columns = hr.shape[0] - height + 1, hr.shape[1] - width + 1
    inside = mean[height // 2 : height // 2 + rows, width // 2 : width // 2 + columns]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(top), int(left)


class Gallery:
    """Collects crops during ``bench``; pass ``add`` as its ``on_result``."""

    def __init__(self) -> None:
        self.rows: list[PictureRow] = []

    def add(self, result: Enlarged) -> None:
        """Add the crop of one result; the first result of a picture also adds HR and bicubic."""
        if not self.rows or (self.rows[-1].dataset, self.rows[-1].name) != (result.dataset, result.sample.name):
            position = busiest_position(as_rgb8(result.target), as_rgb8(result.plain), CROP)
            row = PictureRow(result.dataset, result.sample.name, result.sample.grey, position)
            row.tiles = [("HR", _crop(result.target, position), {}), ("bicubic", _crop(result.plain, position), {})]
            self.rows.append(row)
        row = self.rows[-1]
        if result.interpolation == "bicubic":
            row.tiles[1] = ("bicubic", row.tiles[1][1], result.values)
        else:
            row.tiles.append((result.model, _crop(result.sr, row.position), result.values))


def _crop(image: Levels, position: tuple[int, int]) -> Pixels:
    top, left = position
    return as_rgb8(image[top : top + CROP, left : left + CROP]).copy()


def check_report_path(path: Path, overwrite: bool) -> None:
    """Raise UsageError for a suffix not in ``KINDS``, TargetExists if a file exists and is not overwritten."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise UsageError(f"A report is a {', '.join(KINDS)} file, not '{path.name}'.", "Choose another file name.")
    for target in csv_paths(path) if kind == ".csv" else (path,):
        check_target(target, overwrite)
    if kind == ".md" and _pictures_folder(path).exists() and not overwrite:
        raise TargetExists(f"{_pictures_folder(path)} already exists.")


def _pictures_folder(path: Path) -> Path:
    """Folder of a Markdown report's pictures."""
    return path.with_name(f"{path.stem}_pictures")


def write_report(path: Path, measured: Measured, rows: Sequence[PictureRow]) -> list[Path]:
    """Write the report in the format of its suffix.

    ``.html`` is one self-contained page; ``.md`` has its pictures in a folder next to it; ``.csv`` comes with a file of
    per-picture values and one of differences; ``.tex`` is LaTeX.

    Returns:
        The files written, without a Markdown report's pictures.
    """
    kind = path.suffix.lower()
    failures = (replace(one, reason=in_plain_words(one.reason)) for one in measured.failures)
    measured = replace(measured, failures=tuple(failures))
    if kind == ".csv":
        texts = csv_texts(measured, path)
    elif kind == ".tex":
        texts = {path: tex_text(measured, _facts(measured))}
    elif kind == ".html":
        texts = {path: _html(measured, rows)}
    else:
        texts = {path: _markdown(path, measured, rows)}
    for file, text in texts.items():
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names may not be valid text
    return list(texts)


def _facts(measured: Measured) -> str:
    facts = "; ".join(f"{key}: {value}" for key, value in measured.facts.items())
    return (
        f"x{measured.scale}. {facts}. ±: half the 95 % interval of the mean (Student's t). G mult-adds: 10^9 "
        f"multiplications with an addition for a result of 1280 x 720. gramgan {__version__}."
    )


def _tables(measured: Measured) -> list[tuple[str, Table]]:
    """Titles and tables, without empty ones."""
    tables = [
        ("", accuracy_table(measured, with_intervals=True)),
        (OTHER_TITLE, other_table(measured, with_intervals=True)),
        (DIFFERENCES_TITLE, differences_table(measured)),
        (FAILURES_TITLE, failures_table(measured)),
    ]
    return [(title, table) for title, table in tables if table]


def _caption(label: str, values: Values) -> str:
    scores = ", ".join(ACCURACY[key].text(value) for key, value in values.items() if key in ACCURACY)
    return f"{label} {scores}".strip()


def _png(crop: Pixels, factor: int = 1) -> bytes:
    """The crop as PNG bytes, scaled by ``factor`` with nearest neighbour."""
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


def _html(measured: Measured, rows: Sequence[PictureRow]) -> str:
    tables = "".join(
        (f"<h2>{escape(title)}</h2>\n" if title else "") + _html_table(t) for title, t in _tables(measured)
    )
    pictures = "\n".join(_html_row(row) for row in rows)
    title = f"gramgan bench, x{measured.scale}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f'<body>\n<h1>{title}</h1>\n{tables}<p class="convention">{escape(_facts(measured))}</p>\n'
        f"{pictures}\n</body>\n</html>\n"
    )


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in table.headings)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in table.rows)
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
    top, left = row.position
    note = ", grey" if row.grey else ""
    return f"{row.dataset}, {row.name} (from {left}, {top}{note})"


def _markdown(path: Path, measured: Measured, rows: Sequence[PictureRow]) -> str:
    lines = [f"# gramgan bench, x{measured.scale}"]
    for title, table in _tables(measured):
        lines += ["", *([f"{title}:", ""] if title else []), *_markdown_table(table)]
    lines += ["", _facts(measured), ""]
    folder = _pictures_folder(path)
    for number, row in enumerate(rows):
        pictures = []
        for index, (_, crop, _) in enumerate(row.tiles):
            picture = folder / f"{number:03d}_{index}.png"
            with replacing(picture) as temporary:
                temporary.write_bytes(_png(crop, ENLARGED // CROP))
            pictures.append(f"![]({quote(os.fsencode(folder.name))}/{picture.name})")
        captions = [_caption(label, values) for label, _, values in row.tiles]
        lines += [f"## {_title(row)}", "", _line(captions), _line(["---"] * len(captions)), _line(pictures), ""]
    return "\n".join(lines)


def _markdown_table(table: Table) -> list[str]:
    rule = ["---", "---", *["---:"] * (len(table.headings) - 2)]
    return [_line(table.headings), _line(rule), *(_line(row) for row in table.rows)]


def _line(cells: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"
