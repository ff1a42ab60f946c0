"""The tag that marks a file as a gramgan result: Software in PNG text, TIFF or EXIF.

An existing value is kept in front of it. A JPEG whose EXIF block is full gets a comment instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from gramgan_cli import __version__
from gramgan_cli.core.images.metadata.exif import DamagedExif, exif_software, with_software
from gramgan_cli.core.images.metadata.fitting import COMMENT, LARGEST_EXIF
from gramgan_cli.core.images.metadata.ifd import DamagedTiff
from gramgan_cli.core.images.metadata.text_blocks import metadata_parts
from gramgan_cli.core.images.output_format import Target
from gramgan_cli.core.images.photo import Metadata

_TEXT = re.compile(r"gramgan [\w.+-]{1,40} \(([^()]{1,120}); ([0-9a-f]{32})\)")
_BYTES = re.compile(_TEXT.pattern.encode())

_SOFTWARE = b"Software\0"


@dataclass(frozen=True)
class Mark:
    """The model and input of a result."""

    model: str
    """Name of the model."""
    digest: str
    """32 hexadecimal digits of a checksum of the model's weights, the options and the input file."""

    def __str__(self) -> str:
        return f"gramgan {__version__} ({re.sub(r'[^A-Za-z0-9._+@-]', '_', self.model)[:100]}; {self.digest})"


def marked(target: Target, mark: Mark) -> Target:
    """Add the mark to the metadata of every page."""
    pages = [_marked(page, target, str(mark)) for page in (target.metadata, *target.further_pages)]
    return replace(target, metadata=pages[0], further_pages=tuple(pages[1:]))


def _marked(metadata: Metadata, target: Target, mark: str) -> Metadata:
    try:
        if target.format.name == "png":
            texts = (content for kind, content in metadata.png_chunks if kind == b"tEXt")
            before = next((text[len(_SOFTWARE) :].decode("latin-1") for text in texts if text[:9] == _SOFTWARE), "")
            return replace(metadata, software=_appended(before, mark))
        software = _appended(exif_software(metadata.exif) if metadata.exif else "", mark)
        if target.format.name == "tiff":
            return replace(metadata, software=software)
        exif = with_software(metadata.exif, software)
    except DamagedExif:
        return metadata
    if target.format.name != "jpg" or len(exif) <= LARGEST_EXIF:
        return replace(metadata, exif=exif)
    return replace(metadata, segments=(*metadata.segments, (COMMENT, mark.encode())))


def _appended(before: str, mark: str) -> str:
    """Append the mark to the software name, replacing an earlier mark."""
    before = _TEXT.sub("", before).strip(" ;\0")
    return f"{before}; {mark}" if before else mark


def read_mark(path: Path) -> Mark | None:
    """Return the mark of an image file; None if it is not a result or can't be read."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return None
        with path.open("rb") as file:
            return next((mark for part in metadata_parts(file) if (mark := mark_in(part))), None)
    except (OSError, DamagedTiff):
        return None


def mark_in(content: bytes) -> Mark | None:
    """Return the mark in these bytes, or None."""
    match = _BYTES.search(content)
    return Mark(match[1].decode("latin-1"), match[2].decode()) if match else None
