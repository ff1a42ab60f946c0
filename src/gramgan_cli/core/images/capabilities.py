"""Capabilities of the output formats."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """Capabilities of one format."""

    name: str
    """Name for the option ``format``."""
    label: str
    """Name in messages."""
    suffixes: tuple[str, ...]
    """File name suffixes; new files get the first one."""
    max_side: int
    """Largest width and height, in pixels."""
    alpha: bool
    """Whether it supports transparency."""
    sixteen_bit: bool
    """Whether it supports 16-bit samples."""
    floats: bool = False
    """Whether it supports floating-point samples."""
    animated: bool = False
    """Whether it supports animation."""
    pages: bool = False
    """Whether it supports several independent pages."""


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("png", "PNG", (".png", ".apng"), 2**31 - 1, alpha=True, sixteen_bit=True, animated=True),
        Format("jpg", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), 65500, alpha=False, sixteen_bit=False),
        Format("webp", "WebP", (".webp",), 16383, alpha=True, sixteen_bit=False, animated=True),
        Format("tiff", "TIFF", (".tif", ".tiff"), 2**31 - 1, alpha=True, sixteen_bit=True, floats=True, pages=True),
        Format("avif", "AVIF", (".avif",), 32768, alpha=True, sixteen_bit=False),
    )
}
"""Formats by name. Sources of the size limits: JPEG: libjpeg, a little below ITU-T T.81, B.2.2. WebP: RFC 9649, section
3.4. PNG: section 5.4 (31 bits). AVIF: what libavif reads by default; it can write twice as much."""

READ_SUFFIXES = frozenset(
    {suffix for row in FORMATS.values() for suffix in row.suffixes}
    | {".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".heic", ".heif", ".hif", ".jxl", ".mpo"}
)
"""Suffixes that count as images in a folder."""


def format_of_suffix(suffix: str) -> Format | None:
    """Return the output format of a file name suffix, or None."""
    return next((row for row in FORMATS.values() if suffix.lower() in row.suffixes), None)
