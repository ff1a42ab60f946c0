"""``gramgan compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.amounts import Denoise, Style, denoise_of
from gramgan_cli.cli.completion import complete_model
from gramgan_cli.cli.output import errors_in_document, note, print_json, print_line
from gramgan_cli.core.errors import UsageError

MEASURE, RUN = "Where the original is known", "How it runs"


def compare(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Picture to enlarge with each model.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            autocompletion=complete_model,
            help="Name or file of a model. Repeatable. Bicubic is always included. Default: the default of "
            "`gramgan upscale`.",
        ),
    ] = None,
    denoise: Denoise = None,
    style: Style = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File for the comparison: a picture (.png, .jpg, .webp) or a page (.html). Default: "
            "PHOTO_compare.png.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    hr: Annotated[
        bool,
        typer.Option(
            "--hr",
            help="Use the photo as the sharp original (HR): reduce it first, and measure the results against it.",
            rich_help_panel=MEASURE,
        ),
    ] = False,
    halve: Annotated[
        bool,
        typer.Option(
            "--halve", help="First reduce the photo to half its width and height (Lanczos).", rich_help_panel=MEASURE
        ),
    ] = False,
    device: Annotated[
        str, typer.Option(help="Device that runs the network: auto, cpu, cuda, mps or xpu.", rich_help_panel=RUN)
    ] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Side of a tile in input pixels. 0: the whole photo. Default: what fits into memory.",
            rich_help_panel=RUN,
        ),
    ] = None,
) -> None:
    """Show models side by side: a grid with enlarged crops, or a page with a before/after slider and zoom.

    [bold]gramgan compare photo.jpg[/bold]

    [bold]gramgan compare photo.jpg -m photo -m clean -o page.html[/bold]

    [bold]gramgan compare sharp.png --hr --halve --style 0.5[/bold]
    """
    from gramgan_cli.api import measuring
    from gramgan_cli.engines.measure.tables import finite

    with errors_in_document(json, {"output": None, "versions": []}):
        amount = denoise_of(denoise)
        if amount == "auto":
            raise UsageError(
                "A comparison needs fixed amounts of denoising.", "Use --denoise with a number from 0 to 1."
            )
        comparison = measuring.compare(
            photo,
            output,
            model,
            on_note=note,
            denoise=amount,
            style=style,
            is_hr=hr,
            halve=halve,
            device=device,
            tile="auto" if tile is None else tile,
            overwrite=overwrite,
        )
    if json:
        versions = [{"label": version.label, **finite(version.values)} for version in comparison.versions]
        print_json({"output": str(comparison.output), "scale": comparison.scale, "versions": versions})
    else:
        for version in comparison.versions:
            note(version.caption)
        print_line(str(comparison.output))
