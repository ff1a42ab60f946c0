"""``gramgan mask``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.errors import with_flags
from gramgan_cli.cli.output import fail, note, print_json, print_line
from gramgan_cli.cli.params import Json
from gramgan_cli.cli.progress import counting


class ModeChoice(StrEnum):
    """Kind of mask."""

    grid = "grid"
    sliding = "sliding"


MASK = "What counts as texture"


def mask(
    source: Annotated[Path, typer.Argument(metavar="IMAGE|DIR", help="A picture, or a folder of pictures.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="PNG file for a picture, or folder for a folder."),
    ],
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Write the photo with its untextured areas covered, instead of the mask.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one path per line.")] = False,
    mode: Annotated[
        ModeChoice,
        typer.Option(
            help="How to find texture. grid: aligned cells, as in GramGAN. sliding: a window around each "
            "pixel, as in Beby-GAN.",
            rich_help_panel=MASK,
        ),
    ] = ModeChoice.grid,
    cell: Annotated[
        int, typer.Option(min=1, help="Side of a cell, or of the sliding window, in pixels.", rich_help_panel=MASK)
    ] = 11,
    delta: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Smallest standard deviation of an area with texture, on a scale of 0 to 1. Default: 0.005 "
            "for grid, 0.025 for sliding.",
            rich_help_panel=MASK,
        ),
    ] = None,
) -> None:
    """Show the parts of photos that the discriminator sees in training. White areas have texture.

    [bold]gramgan mask photo.jpg -o mask.png[/bold]

    [bold]gramgan mask photos/ -o masks/ --overlay[/bold]
    """
    from gramgan_cli.api import texture

    with counting("Masking") as progress:
        made = texture.mask(
            source,
            output,
            mode=mode.value,
            cell=cell,
            delta=delta,
            overlay=overlay,
            overwrite=overwrite,
            on_progress=progress,
        )
    for one in made:
        if one.error is not None:
            fail(one.error)
    if json:
        rows = [
            {
                "input": str(one.source),
                "output": None if one.error else str(one.target),
                "textured": one.textured,
                "error": one.error and with_flags(one.error),
            }
            for one in made
        ]
        print_json({"results": rows})
    else:
        for one in made:
            if one.textured is not None:
                print_line(str(one.target) if quiet else f"{one.target}: {one.textured:.1%} textured")
    failed = sum(one.error is not None for one in made)
    if failed:
        if len(made) > 1:
            note(f"{failed} of {len(made)} images failed.")
        raise typer.Exit(1)
