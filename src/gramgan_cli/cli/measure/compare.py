"""``gramgan compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.output import errors_in_document, note, print_json, print_line
from gramgan_cli.cli.params import Denoise, Json, MeasuredModels, Style, denoise_of, device_option, tile_of, tile_option
from gramgan_cli.core.errors import UsageError

MEASURE, RUN = "Where the original is known", "How it runs"


def compare(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Picture to enlarge with each model.")],
    model: MeasuredModels = None,
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
    json: Json = False,
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
    device: Annotated[str, device_option(RUN)] = "auto",
    tile: Annotated[str, tile_option(RUN)] = "auto",
) -> None:
    """Show models side by side: a grid with enlarged crops, or a page with a before/after slider and zoom.

    [bold]gramgan compare photo.jpg[/bold]

    [bold]gramgan compare photo.jpg -m photo -m clean -o page.html[/bold]

    [bold]gramgan compare sharp.png --hr --halve --style 0.5[/bold]

    Bicubic is always part of the comparison.
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
            tile=tile_of(tile),
            overwrite=overwrite,
        )
    if json:
        versions = [{"label": version.label, **finite(version.values)} for version in comparison.versions]
        print_json({"output": str(comparison.output), "scale": comparison.scale, "versions": versions})
    else:
        for version in comparison.versions:
            note(version.caption)
        print_line(str(comparison.output))
