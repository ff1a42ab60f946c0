"""``gramgan plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.output import print_line


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders of `gramgan train`. A run may still be training."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write: .png, .svg or .pdf.")
    ] = Path("curves.png"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Draw losses and validation scores of one or more training runs (needs the extra \\[plot]).

    [bold]gramgan plot runs/first[/bold]

    [bold]gramgan plot runs/first runs/second -o curves.svg[/bold]
    """
    from gramgan_cli.api.runs import plot as draw

    print_line(str(draw(runs, output, overwrite=overwrite)))
