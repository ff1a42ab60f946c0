"""Options ``--denoise`` and ``--style``."""

from __future__ import annotations

from typing import Annotated

import typer

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.catalogue import read_square
from gramgan_cli.core.weights.mixing.mixture import share_of
from gramgan_cli.core.weights.mixing.square import DenoiseChoice

USUAL = read_square()


def denoise_of(text: str | None) -> DenoiseChoice | None:
    """Parse ``--denoise``: 'auto' or a number from 0 to 1."""
    if text is None:
        return None
    if text == "auto":
        return "auto"
    amount = share_of(text)
    if amount is None:
        raise UsageError(f"--denoise '{text}' is not between 0 and 1.", "Use a number from 0 to 1, or auto.")
    return amount


Denoise = Annotated[
    str | None,
    typer.Option(
        "--denoise",
        metavar="0..1|auto",
        help="How much noise, blur and JPEG blocks to remove. 0: nothing, for a clean photo. 1: everything. auto: "
        "gramgan looks at each photo and chooses.",
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
        help="How crisp the result is. 0: soft, and right on average. 1: crisp and rich in texture, some of "
        "it invented.",
        show_default=f"{USUAL.style:g}",
    ),
]
