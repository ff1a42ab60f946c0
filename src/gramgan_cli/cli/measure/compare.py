"""``gramgan compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.amounts import Style
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
    from gramgan_cli.core.backends.device import pick_device
    from gramgan_cli.core.io.files import check_target
    from gramgan_cli.core.weights.mixing.square import chosen_model
    from gramgan_cli.engines.measure import compare as engine
    from gramgan_cli.engines.measure.compare_grid import write_grid
    from gramgan_cli.engines.measure.compare_page import check_size, write_page
    from gramgan_cli.engines.measure.enlargers import open_enlargers
    from gramgan_cli.engines.measure.tables import finite

    with errors_in_document(json, {"output": None, "versions": []}):
        target = output or photo.with_name(f"{photo.stem}_compare.png")
        kind = target.suffix.lower()
        if kind not in (".png", ".jpg", ".jpeg", ".webp", ".html"):
            raise UsageError(
                f"-o writes .png, .jpg, .webp or .html, not '{target.name}'.", "Name the file accordingly."
            )
        check_target(target, overwrite)
        if target.exists() and photo.exists() and target.samefile(photo):
            raise UsageError(f"The comparison would replace the photo {photo} itself.", "Give -o another name.")
        chosen: list[str | None] = [*model] if model else [None]
        names = [chosen_model(name, style=style) for name in chosen if name != "bicubic"]
        opened = open_enlargers(names, pick_device(device), "auto" if tile is None else tile, note)
        enlargers = engine.with_bicubic(opened)
        for enlarger in enlargers:
            if enlarger.needs_reference:
                raise UsageError(
                    f"The model '{enlarger.name}' needs a reference picture, which this command does not give it.",
                    "Use gramgan bench on a folder of *_in and *_ref pictures.",
                )
        options = engine.CompareOptions(is_hr=hr, halve=halve)
        if kind == ".html":
            check_size(*engine.result_size(photo, options, enlargers[0].scale), photo)
        comparison = engine.compare(photo, enlargers, options)
        if kind == ".html":
            write_page(target, comparison)
        else:
            write_grid(target, comparison)
    if json:
        versions = [{"label": version.label, **finite(version.values)} for version in comparison.versions]
        print_json({"output": str(target), "scale": comparison.scale, "versions": versions})
    else:
        for version in comparison.versions:
            note(version.caption)
        print_line(str(target))
