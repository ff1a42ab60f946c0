"""Results of ``bench`` as text tables, JSON, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramgan_cli.engines.measure.bench import Measured, Score
from gramgan_cli.engines.measure.conventions import Values
from gramgan_cli.engines.measure.metrics import ACCURACY, Quantity
from gramgan_cli.engines.measure.statistics import Difference, differences, intervals

OTHER_TITLE = "Further metrics"
DIFFERENCES_TITLE = "Differences: the second model minus the first, image by image"
FAILURES_TITLE = "Not measured"


@dataclass(frozen=True)
class Table:
    """Headings and rows of formatted cells."""

    headings: list[str]
    rows: list[list[str]]


def accuracy_table(measured: Measured, with_intervals: bool = False) -> Table:
    """PSNR, SSIM, speed and cost of each model on each dataset."""
    quantities = [quantity for quantity in measured.quantities if quantity.key in ACCURACY]
    table = _means(measured, quantities, with_intervals)
    for score, row in zip(measured.scores, table.rows, strict=True):
        row += [f"{score.megapixels_per_second:.2f}", giga(score.enlarger.multiply_adds)]
    return Table([*table.headings, "Mpixel/s", "G mult-adds"], table.rows)


def other_table(measured: Measured, with_intervals: bool = False) -> Table | None:
    """Further metrics; None if none was measured."""
    quantities = [quantity for quantity in measured.quantities if quantity.key not in ACCURACY]
    return _means(measured, quantities, with_intervals) if quantities else None


def differences_table(measured: Measured) -> Table | None:
    """Paired differences; None if there is nothing to compare."""
    found = differences(measured.scores)
    if not found:
        return None
    quantities = {quantity.key: quantity for quantity in measured.quantities}
    headings = ["dataset", "models", "quantity", "difference", "standard error", "signed-rank p"]
    return Table(headings, [_difference_row(one, quantities[one.key]) for one in found])


def failures_table(measured: Measured) -> Table | None:
    """Pictures that could not be measured; None if all were."""
    rows = [[failure.dataset, failure.name, failure.reason] for failure in measured.failures]
    return Table(["dataset", "picture", "reason"], rows) if rows else None


def _difference_row(one: Difference, quantity: Quantity) -> list[str]:
    apart = f"{one.mean * quantity.factor:+.{quantity.decimals}f}"
    error = quantity.text(one.standard_error)
    return [one.dataset, f"{one.second} - {one.first}", quantity.heading, apart, error, f"{one.p:.3g}"]


def _means(measured: Measured, quantities: Sequence[Quantity], with_intervals: bool) -> Table:
    headings = ["dataset", "model", *(quantity.heading for quantity in quantities)]
    rows = []
    for score in measured.scores:
        around = intervals(score) if with_intervals else {}
        cells = [_cell(quantity, score.values[quantity.key], around.get(quantity.key)) for quantity in quantities]
        rows.append([score.dataset, score.model, *cells])
    return Table(headings, rows)


def _cell(quantity: Quantity, value: float, around: float | None) -> str:
    """Format a value, with half its interval's width if known."""
    return quantity.text(value) + (f" ± {quantity.text(around)}" if around is not None else "")


def giga(count: int | None) -> str:
    """Format multiply-adds in units of 10^9; '-' if unknown."""
    return "-" if count is None else f"{count / 1e9:.1f}"


def finite(values: Values) -> dict[str, float | None]:
    """Replace infinity and NaN by None, for JSON."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def as_document(measured: Measured) -> dict[str, Any]:
    """Document of ``--json``. An infinite PSNR (equal images) is null."""
    return {
        "scale": measured.scale,
        "convention": measured.facts,
        "grey_images": list(measured.grey),
        "results": [_result(score) for score in measured.scores],
        "differences": [
            {
                "dataset": one.dataset,
                "first": one.first,
                "second": one.second,
                "quantity": one.key,
                "mean": one.mean,
                "standard_error": one.standard_error,
                "p": one.p,
                "images": one.images,
            }
            for one in differences(measured.scores)
        ],
        "failures": [
            {"dataset": failure.dataset, "name": failure.name, "reason": failure.reason}
            for failure in measured.failures
        ],
    }


def _result(score: Score) -> dict[str, Any]:
    """JSON object of one model on one dataset."""
    means = finite(score.values)
    around = intervals(score)
    return {
        "dataset": score.dataset,
        "model": score.model,
        **means,
        "intervals": {
            key: None if mean is None or (half := around[key]) is None else [mean - half, mean + half]
            for key, mean in means.items()
        },
        "seconds": score.seconds,
        "megapixels_per_second": score.megapixels_per_second,
        "parameters": score.enlarger.parameters,
        "multiply_adds": score.enlarger.multiply_adds,
        "images": [{"name": image.name, **finite(image.values)} for image in score.images],
    }


def csv_texts(measured: Measured, path: Path) -> dict[Path, str]:
    """Texts of the CSV files: means in ``path``, per-picture values and differences in files next to it.

    Numbers have full precision; unknown values are empty.
    """
    names, images, apart = csv_paths(path)
    keys = [quantity.key for quantity in measured.quantities]
    sides = itertools.chain.from_iterable((f"{key}_low", f"{key}_high") for key in keys)
    means: list[list[Any]] = [
        ["dataset", "model", "images", *keys, *sides, "seconds", "megapixels_per_second", "parameters", "multiply_adds"]
    ]
    each: list[list[Any]] = [["dataset", "model", "image", *keys, "reason"]]
    for score in measured.scores:
        result = _result(score)
        around = itertools.chain.from_iterable(result["intervals"][key] or (None, None) for key in keys)
        facts = [result[key] for key in ("seconds", "megapixels_per_second", "parameters", "multiply_adds")]
        means.append([score.dataset, score.model, len(score.images), *(result[key] for key in keys), *around, *facts])
        for image in score.images:
            values = finite(image.values)
            each.append([score.dataset, score.model, image.name, *(values.get(key) for key in keys), None])
    for failure in measured.failures:
        each.append([failure.dataset, None, failure.name, *(None for _ in keys), failure.reason])
    compared: list[list[Any]] = [["dataset", "first", "second", "quantity", "mean", "standard_error", "p", "images"]]
    for one in differences(measured.scores):
        compared.append([one.dataset, one.first, one.second, one.key, one.mean, one.standard_error, one.p, one.images])
    return {names: _csv(means), images: _csv(each), apart: _csv(compared)}


def csv_paths(path: Path) -> tuple[Path, Path, Path]:
    """The three files of a CSV report: means, pictures, differences."""
    return path, path.with_name(f"{path.stem}_images.csv"), path.with_name(f"{path.stem}_differences.csv")


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def tex_text(measured: Measured, facts: str) -> str:
    """LaTeX tables (package booktabs): means with intervals, the best of each dataset in bold; differences."""
    tables = [_tex_table(_bold_best(measured))]
    apart = differences_table(measured)
    if apart:
        tables.append(_tex_table(Table(apart.headings, [[_tex(cell) for cell in row] for row in apart.rows])))
    comments = [f"% {line}" for line in facts.splitlines()]
    comments += [f"% not measured: {failure.reason}" for failure in measured.failures]
    return "\n".join([*comments, "% needs \\usepackage{booktabs}", *tables])


def _bold_best(measured: Measured) -> Table:
    """Table of all quantities, speed and cost, escaped for LaTeX, with the best of each dataset in bold."""
    table = _means(measured, measured.quantities, with_intervals=True)
    rows = [[_tex(cell) for cell in row] for row in table.rows]
    for column, quantity in enumerate(measured.quantities, 2):
        for _, group in itertools.groupby(range(len(rows)), key=lambda index: measured.scores[index].dataset):
            members = list(group)
            values = {index: measured.scores[index].values[quantity.key] * quantity.better for index in members}
            best = max(values.values())
            for index in members:
                if values[index] == best and len(members) > 1:
                    rows[index][column] = rf"\textbf{{{rows[index][column]}}}"
    for score, row in zip(measured.scores, rows, strict=True):
        row += [f"{score.megapixels_per_second:.2f}", giga(score.enlarger.multiply_adds)]
    return Table([*table.headings, "Mpixel/s", "G mult-adds"], rows)


def _tex_table(table: Table) -> str:
    """LaTeX tabular of a table with escaped cells and unescaped headings."""
    columns = "ll" + "r" * (len(table.headings) - 2)
    lines = [" & ".join(map(_tex, table.headings)) + r" \\", r"\midrule"]
    lines += [" & ".join(row) + r" \\" for row in table.rows]
    body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"


def _tex(text: str) -> str:
    """Escape LaTeX's special characters."""
    return "".join(_TEX.get(sign, sign) for sign in text)
