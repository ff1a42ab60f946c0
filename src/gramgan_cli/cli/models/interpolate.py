"""``gramgan models interpolate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli import output
from gramgan_cli.cli.params import device_option


def interpolate(
    first: Annotated[str, typer.Argument(metavar="A", help="Name or file of the model for alpha 0.")],
    second: Annotated[
        str,
        typer.Argument(
            metavar="B", help="Name or file of the model for alpha 1: another training of the same network."
        ),
    ],
    alpha: Annotated[
        float, typer.Option(min=0, max=1, help="Share of B, 0 to 1: the result is (1 - alpha) A + alpha B.")
    ],
    name: Annotated[str, typer.Option("--output", "-o", metavar="NAME", help="Name of the result in the store.")],
    strip: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO", help="Also write PHOTO_NAME_strip.png: the middle of this photo at alpha 0, 0.2, ... 1."
        ),
    ] = None,
    device: Annotated[str, device_option(use="for --strip")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model.")] = False,
) -> None:
    """Mix two trainings of the same network, such as a faithful one and a crisp one.

    [bold]gramgan models interpolate clean clean-gan --alpha 0.3 -o mild[/bold]

    [bold]gramgan models interpolate photo photo-gan --alpha 0.5 -o crisp --strip photo.jpg[/bold]
    """
    from gramgan_cli.api import models as api

    model, picture = api.mix_models(first, second, alpha, name, strip=strip, device=device, overwrite=overwrite)
    output.note(f"Stored as '{model.name}'. Use it with: gramgan upscale photo.png --model {model.name}")
    output.print_line(str(model.path))
    if picture:
        output.print_line(str(picture))
