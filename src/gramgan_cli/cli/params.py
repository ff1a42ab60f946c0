"""Options that several commands share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramgan_cli.cli.completion import complete_model
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.catalogue import read_square
from gramgan_cli.core.weights.mixing.mixture import share_of
from gramgan_cli.core.weights.mixing.square import DenoiseChoice

if TYPE_CHECKING:
    from gramgan_cli.engines.upscale.options import TileChoice

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


def tile_of(text: str) -> TileChoice:
    """Parse a tile side: 'auto', 0 or at least 16."""
    if text == "auto":
        return "auto"
    if not re.fullmatch(r"\d{1,6}", text) or 0 < int(text) < 16:
        raise UsageError(f"--tile '{text}' is not a tile size.", "Use auto, 0, or a number from 16.")
    return int(text)


Denoise = Annotated[
    str | None,
    typer.Option(
        "--denoise",
        metavar="0..1|auto",
        help="How much noise, blur and JPEG blocks to remove. 0: nothing, for a clean photo. 1: everything. auto: "
        "gramgan looks at each photo and chooses. Above 0, a second network cleans the photo first.",
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

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

MeasuredModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        autocompletion=complete_model,
        help="Name or file of a model, or nearest, bilinear, bicubic, lanczos. Repeatable. Default: bicubic and the "
        "default of `gramgan upscale`.",
    ),
]


def device_option(panel: str | None = None, use: str = "that runs the network") -> Any:
    """Option ``--device`` with its help in ``panel``."""
    return typer.Option(
        help=f"Device {use}: auto, cpu, cuda, cuda:1, xpu or mps.", envvar="GRAMGAN_DEVICE", rich_help_panel=panel
    )


def tile_option(panel: str) -> Any:
    """Option ``--tile`` with its help in ``panel``; ``tile_of`` parses it."""
    return typer.Option(
        metavar="auto|N|0",
        help="Side of a tile in input pixels. auto: what fits into memory. 0: the whole picture at once.",
        rich_help_panel=panel,
    )
