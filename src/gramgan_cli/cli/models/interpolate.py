"""``gramgan models interpolate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramgan_cli.cli import output


def interpolate(
    first: Annotated[str, typer.Argument(metavar="A", help="A model's name or file: alpha 0.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another training of the same network: alpha 1.")],
    alpha: Annotated[float, typer.Option(min=0, max=1, help="How much of B: (1 - alpha) A + alpha B.")],
    name: Annotated[str, typer.Option("--output", "-o", metavar="NAME", help="What the store calls the result.")],
    strip: Annotated[
        Path | None,
        typer.Option(metavar="PHOTO", help="Also write PHOTO_NAME_strip.png: its middle at alpha 0, 0.2, ... 1."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="For --strip: auto, cpu, cuda, cuda:1, xpu or mps.", envvar="GRAMGAN_DEVICE")
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Mix two trainings of one network, such as a faithful and a vivid one.

    [bold]gramgan models interpolate clean clean-gan --alpha 0.3 -o mild[/bold]

    [bold]gramgan models interpolate photo photo-gan --alpha 0.5 -o crisp --strip photo.jpg[/bold]
    """
    from gramgan_cli.api import models as api

    model, picture = api.mix_models(first, second, alpha, name, strip=strip, device=device, overwrite=overwrite)
    output.note(f"Stored as '{model.name}'. Use it with: gramgan upscale photo.png --model {model.name}")
    output.print_line(str(model.path))
    if picture:
        output.print_line(str(picture))
