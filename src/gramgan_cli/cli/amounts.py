"""``--denoise`` and ``--style``: the place in the square of weights."""

from __future__ import annotations

from typing import Annotated

import typer

from gramgan_cli.core.weights.catalogue import read_square

USUAL = read_square()

Denoise = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="0: the photo is clean and stays as it is, 1: noise, blur and blocks are taken away; between: less.",
        show_default=f"{USUAL.denoise:g}",
    ),
]

Style = Annotated[
    float | None,
    typer.Option(
        "--style",
        "-s",
        min=0,
        max=1,
        help="0: right on average, but soft, 1: crisp and rich in texture, part of it invented; between: less.",
        show_default=f"{USUAL.style:g}",
    ),
]
