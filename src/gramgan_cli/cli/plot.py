"""``gramgan plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli.output import print_line


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of gramgan train.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to draw: .png, .svg or .pdf.")
    ] = Path("curves.png"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Draw losses and validation scores of one or more runs (needs the extra \\[plot])."""
    from gramgan_cli.engines.measure import plot as engine

    engine.check_output(output, overwrite)
    engine.plot(runs, output)
    print_line(str(output))
