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
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The picture to enlarge in several ways.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            autocompletion=complete_model,
            help="A model's name or file. Repeatable; bicubic is always shown. Default: what `gramgan upscale` uses.",
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
            help="A picture (.png, .jpg, .webp) or a page (.html). Default: PHOTO_compare.png.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    hr: Annotated[
        bool,
        typer.Option(
            "--hr",
            help="The photo is a sharp original (HR): reduce it first, and measure the results against it.",
            rich_help_panel=MEASURE,
        ),
    ] = False,
    halve: Annotated[
        bool,
        typer.Option("--halve", help="Make the photo half as wide and high first (Lanczos).", rich_help_panel=MEASURE),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps or xpu.", rich_help_panel=RUN)] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Side of a tile in input pixels, 0 for the whole photo. Default: what fits.",
            rich_help_panel=RUN,
        ),
    ] = None,
) -> None:
    """See models side by side: a grid with enlarged crops, or a page with a before/after slider and zoom.

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
