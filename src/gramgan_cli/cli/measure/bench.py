"""``gramgan bench``."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramgan_cli.cli.completion import complete_dataset, complete_model
from gramgan_cli.cli.errors import with_flags
from gramgan_cli.cli.output import errors_in_document, note, print_json, print_table, warn
from gramgan_cli.cli.progress import counting

if TYPE_CHECKING:
    from gramgan_cli.engines.measure.bench import Measured

MEASURE, WRITE, RUN = "What is measured", "Pictures", "How it runs"


class Convention(StrEnum):
    """Convention of PSNR and SSIM."""

    modern = "modern"
    classic = "classic"
    rgb = "rgb"
    grey = "grey"


def bench(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...",
            autocompletion=complete_dataset,
            help="Folders, or names: Set5, Set14, BSD100, Urban100, ...",
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            autocompletion=complete_model,
            help="A model's name or file, or nearest, bilinear, bicubic, lanczos. Repeatable. "
            "Default: bicubic and what `gramgan upscale` uses.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a report: .html or .md with pictures, .csv, or .tex. Means have their 95 % interval, models "
            "their paired differences.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results and reports that exist.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    convention: Annotated[
        Convention,
        typer.Option(
            help="modern: Y (brightness) of pictures that were reduced in colour, as in papers since 2017. classic: Y "
            "reduced alone, grey as grey, as in the tables from SRCNN to VDSR. rgb: all three colours, no border cut. "
            "grey: grey levels of 16 bits.",
            rich_help_panel=MEASURE,
        ),
    ] = Convention.modern,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also measure: texture (gram: colour covariance of small patches; spectrum: power at each frequency), "
            "lpips or dists (learned distances), niqe (naturalness of the result alone), fid (of a whole set of some "
            "thousand pictures). Repeatable. lpips, dists and fid need the extra \\[metrics].",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=2,
            max=16,
            help="The factor, for interpolations. Default: the models', else 4.",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    lpips_features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="LPIPS through the VGG16 of this file, in torchvision's names. Default: AlexNet of ImageNet.",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    save_images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write every result as DIR/DATASET/MODEL/NAME.png.", rich_help_panel=WRITE),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where named sets lie. Default: GRAMGAN_DATA, else the user's data folder.",
            rich_help_panel=RUN,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps or xpu.", rich_help_panel=RUN)] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            min=0, help="Side of a tile in input pixels, 0 for whole images. Default: what fits.", rich_help_panel=RUN
        ),
    ] = None,
) -> None:
    """Measure models: PSNR and SSIM as the papers' tables have them, and more.

    [bold]gramgan bench Set5[/bold]

    [bold]gramgan bench Set5 photos/ -m photo -m other.safetensors --report report.html[/bold]

    [bold]gramgan bench Set5 -m bicubic --convention classic --scale 3[/bold]

    HR is a sharp original, LR the same picture made smaller: models enlarge LR, and the result is compared with HR.
    PSNR (dB) and SSIM (at most 1) are larger where it is nearer.
    """
    from gramgan_cli.api import measuring

    given: dict[str, Any] = {
        "scale": scale,
        "lpips_features": lpips_features,
        "data_dir": data_dir,
        "report": report,
        "save_images": save_images,
        "tile": tile,
    }
    with (
        errors_in_document(json, {"results": [], "differences": [], "failures": []}),
        counting("Measuring") as progress,
    ):
        measured = measuring.bench(
            datasets,
            model,
            on_progress=progress,
            on_note=note,
            metrics=metric or [],
            convention=convention.value,
            device=device,
            overwrite=overwrite,
            **{name: value for name, value in given.items() if value is not None},
        )
    _print(measured, json)
    if measured.failures:
        raise typer.Exit(1)


def _print(measured: Measured, json: bool) -> None:
    """Print results to stdout; conventions and failures to stderr."""
    from gramgan_cli.engines.measure import tables

    for failure in measured.failures:
        warn(f"Not measured: {failure.reason}")
    if json:
        failures = tuple(replace(one, reason=with_flags(one.reason)) for one in measured.failures)
        print_json(tables.as_document(replace(measured, failures=failures)))
        return
    accuracy, other, apart = (
        tables.accuracy_table(measured),
        tables.other_table(measured),
        tables.differences_table(measured),
    )
    print_table("", accuracy.headings, accuracy.rows)
    if other:
        print_table(tables.OTHER_TITLE, other.headings, other.rows)
    if apart:
        print_table(tables.DIFFERENCES_TITLE, apart.headings, apart.rows)
    note(f"x{measured.scale}, {measured.options.convention.sentence(measured.scale)}")
    for metric in measured.options.metrics:
        note(f"{metric.name}: {measured.facts[metric.name]}.")
    if measured.grey:
        note(f"Grey images count as {measured.options.convention.grey_counts_as}: {', '.join(measured.grey)}.")
