"""What each file format that is written can hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One row of the table."""

    name: str
    """As the option ``format`` takes it."""
    label: str
    """As messages say it."""
    suffixes: tuple[str, ...]
    """File name endings; the first one is given to new files."""
    max_side: int
    """Largest width and height, in pixels."""
    alpha: bool
    """Whether it holds transparency."""
    sixteen_bit: bool
    """Whether it holds 16-bit samples."""
    floats: bool = False
    """Whether it holds floating point samples."""
    animated: bool = False
    """Whether it holds frames that follow one another in time."""
    pages: bool = False
    """Whether it holds several independent pictures."""


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
"""JPEG: libjpeg's limit, a little below that of ITU-T T.81, B.2.2. WebP: RFC 9649, section 3.4. PNG: section 5.4 (31
bits). AVIF: what libavif reads by default; it writes twice as much."""

READ_SUFFIXES = frozenset(
    {suffix for row in FORMATS.values() for suffix in row.suffixes}
    | {".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".heic", ".heif", ".hif", ".jxl", ".mpo"}
)
"""What is taken for a picture inside a folder."""


def format_of_suffix(suffix: str) -> Format | None:
    """The written format that a file name ending stands for."""
    return next((row for row in FORMATS.values() if suffix.lower() in row.suffixes), None)
