"""Limits on image sizes, so that a small file can't exhaust the memory."""

from __future__ import annotations

from gramgan_cli.core.errors import ImageTooLarge

LARGEST_PIXELS = 500_000_000
"""Maximum number of pixels of an image."""

UNQUESTIONED_PIXELS = 25_000_000
"""Number of pixels up to which the file size is not checked."""

PIXELS_PER_BYTE = 1500
"""Maximum pixels per byte of the file above that number. Real photographs have about ten."""

LARGEST_TOTAL = 2_000_000_000
"""Maximum number of pixels of all frames or pages together."""

UNQUESTIONED_TOTAL = 100_000_000
"""Total number of pixels up to which the file size is not checked."""

IF_REAL = "If the image is genuine, split it into parts, or save it as an uncompressed TIFF."


def too_large(name: str) -> ImageTooLarge:
    """Return the error for an image of more than ``LARGEST_PIXELS``."""
    return ImageTooLarge(
        f"{name} declares more than {LARGEST_PIXELS // 10**6} megapixels, so gramgan refuses to open it.",
        "If the image is genuine, split it into parts.",
    )


def check_size(name: str, width: int, height: int, byte_count: int) -> None:
    """Raise for images that would exhaust the memory: too large, or too large for the file's size.

    Args:
        name: name of the file for messages.
        width, height: in pixels.
        byte_count: size of the file.

    Raises:
        ImageTooLarge: a limit is exceeded.
    """
    pixels = width * height
    if pixels > LARGEST_PIXELS:
        raise too_large(name)
    if pixels > UNQUESTIONED_PIXELS and pixels > PIXELS_PER_BYTE * byte_count:
        declared = f"{width}x{height} pixels in {byte_count} bytes"
        raise ImageTooLarge(f"{name} declares {declared}, so gramgan refuses to open it.", IF_REAL)


def check_total(name: str, pixels: int, byte_count: int) -> None:
    """Raise for files whose many frames or pages would take hours. A repeated frame costs only a few bytes.

    Args:
        name: name of the file for messages.
        pixels: total over all frames at full size.
        byte_count: size of the file.

    Raises:
        ImageTooLarge: a limit is exceeded.
    """
    if pixels > LARGEST_TOTAL or (pixels > UNQUESTIONED_TOTAL and pixels > PIXELS_PER_BYTE * byte_count):
        declared = f"{round(pixels / 10**6)} megapixels over all frames in {byte_count} bytes"
        raise ImageTooLarge(
            f"{name} declares {declared}, so gramgan refuses to open it.",
            "If the image is genuine, split it into parts.",
        )
