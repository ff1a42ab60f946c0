"""``gramgan bench``."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramgan_cli.cli.completion import complete_dataset
from gramgan_cli.cli.errors import with_flags
from gramgan_cli.cli.output import errors_in_document, note, print_json, print_table, warn
from gramgan_cli.cli.params import Json, MeasuredModels, device_option, tile_of, tile_option
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
    model: MeasuredModels = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File for a report: .html or .md with pictures, .csv, or .tex. Includes 95 % intervals of "
            "the means and paired differences of the models.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results and reports.")] = False,
    json: Json = False,
    convention: Annotated[
        Convention,
        typer.Option(
            help="How PSNR and SSIM are calculated. modern: on Y (brightness), with LR reduced in colour, as "
            "in papers since 2017. classic: with only Y reduced, and grey pictures as grey, as in the "
            "tables from SRCNN to VDSR. rgb: on all three colours, without cutting the border. grey: on "
            "16-bit grey levels.",
            rich_help_panel=MEASURE,
        ),
    ] = Convention.modern,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Additional metric: gram (colour covariance of small patches) or spectrum (power at each frequency) "
            "for texture, lpips or dists (learned distances), niqe (naturalness, without the original), fid (of a "
            "whole dataset of some thousand pictures). Repeatable. lpips, dists and fid need the extra \\[metrics].",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=2,
            max=16,
            help="Enlargement factor of interpolations. Default: the factor of the models, otherwise 4.",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    lpips_features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="VGG16 file for LPIPS, with torchvision's names. Default: ImageNet's AlexNet.",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    save_images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for all results, as DIR/DATASET/MODEL/NAME.png.", rich_help_panel=WRITE
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the named datasets. Default: GRAMGAN_DATA, otherwise the user's data folder.",
            rich_help_panel=RUN,
        ),
    ] = None,
    device: Annotated[str, device_option(RUN)] = "auto",
    tile: Annotated[str, tile_option(RUN)] = "auto",
) -> None:
    """Measure models with PSNR and SSIM, calculated as in papers, and with other metrics.

    [bold]gramgan bench Set5[/bold]

    [bold]gramgan bench Set5 photos/ -m photo -m other.safetensors --report report.html[/bold]

    [bold]gramgan bench Set5 -m bicubic --convention classic --scale 3[/bold]

    HR is a sharp original. LR is the same picture made smaller. Models enlarge LR, and bench compares the results with
    HR. Larger PSNR (dB) and SSIM (at most 1) mean that a result is closer to HR.
    """
    from gramgan_cli.api import measuring

    given: dict[str, Any] = {
        "scale": scale,
        "lpips_features": lpips_features,
        "data_dir": data_dir,
        "report": report,
        "save_images": save_images,
        "tile": tile_of(tile),
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
