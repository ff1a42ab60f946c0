"""What values of ``gramgan upscale``'s options mean: boxes, formats, tiles and sizes of memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from gramgan_cli.core.errors import UsageError

if TYPE_CHECKING:
    from gramgan_cli.core.images.output_format import FormatChoice
    from gramgan_cli.engines.upscale.options import TileChoice


def box_of(text: str | None) -> tuple[int, int] | None:
    """'3840x2160' as numbers."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,6})[xX×]([1-9]\d{0,6})", text)
    if match is None:
        raise UsageError(f"--fit '{text}' is not a size.", "Write it as 3840x2160.")
    return int(match[1]), int(match[2])


def format_of(name: str | None) -> FormatChoice:
    """A format by any of its names."""
    named: dict[str | None, FormatChoice] = {None: "default", "jpeg": "jpg", "tif": "tiff"}
    return named[name] if name in named else cast("FormatChoice", name)


def tile_of(text: str) -> TileChoice:
    """'auto', or the number."""
    if text == "auto":
        return "auto"
    if not re.fullmatch(r"\d{1,6}", text) or 0 < int(text) < 16:
        raise UsageError(f"--tile '{text}' is not a tile size.", "Give auto, 0, or at least 16.")
    return int(text)


def bytes_of(text: str | None) -> int | None:
    """'4G' as bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)i?B?", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"--max-memory '{text}' is not a size.", "Write it as 4G or 900M.")
    return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))
