"""Reading GIF (GIF89a specification)."""

from __future__ import annotations

from gramgan_cli.core.images.formats import pillow
from gramgan_cli.core.images.photo import Photo, Unreadable


def open_gif(data: bytes, name: str, lenient: bool) -> Photo:
    """A still or animated GIF."""
    raster = pillow.opened(data, name, lenient)
    if not lenient and not _ends(data):
        raise Unreadable("the file ends early")
    return raster.photo()


def _ends(data: bytes) -> bool:
    """Whether the blocks lead to the trailer."""
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    try:
        while data[at] != 0x3B:
            if data[at] == 0x21:
                at += 2
            elif data[at] == 0x2C:
                at += 11 + (3 * 2 ** ((data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0)
            else:
                return False
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        return False
    return True
