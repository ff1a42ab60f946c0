"""Parsing option values of ``gramgan upscale``: boxes, formats and memory sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from gramgan_cli.core.errors import UsageError

if TYPE_CHECKING:
    from gramgan_cli.core.images.output_format import FormatChoice


def box_of(text: str | None) -> tuple[int, int] | None:
    """Parse '3840x2160' into (width, height)."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,6})[xX×]([1-9]\d{0,6})", text)
    if match is None:
        raise UsageError(f"--fit '{text}' is not a size.", "Write it as 3840x2160.")
    return int(match[1]), int(match[2])


def format_of(name: str | None) -> FormatChoice:
    """Normalise a format's name: 'jpeg' to 'jpg', 'tif' to 'tiff', None to 'default'."""
    named: dict[str | None, FormatChoice] = {None: "default", "jpeg": "jpg", "tif": "tiff"}
    return named[name] if name in named else cast("FormatChoice", name)


def bytes_of(text: str | None) -> int | None:
    """Parse a memory size such as '4G' into bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)i?B?", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"--max-memory '{text}' is not a size.", "Write it as 4G or 900M.")
    return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))
