"""How large a picture may claim to be: a small file must not fill the memory."""

from __future__ import annotations

from gramgan_cli.core.errors import ImageTooLarge

LARGEST_PIXELS = 500_000_000
"""A picture that claims more pixels is refused."""

UNQUESTIONED_PIXELS = 25_000_000
"""Up to here the size of the file does not matter."""

PIXELS_PER_BYTE = 1500
"""Beyond, a file must have a byte for so many pixels: real photographs need one for ten."""

LARGEST_TOTAL = 2_000_000_000
"""Frames or pages that have more pixels together are refused."""

UNQUESTIONED_TOTAL = 100_000_000
"""Up to here, all frames together, the size of the file does not matter."""

IF_REAL = "If it is real, cut it into parts, or save it as an uncompressed TIFF."


def too_large(name: str) -> ImageTooLarge:
    """The error for a picture of more than ``LARGEST_PIXELS``."""
    return ImageTooLarge(
        f"{name} claims to have more than {LARGEST_PIXELS // 10**6} megapixels, so it is refused.",
        "If it is real, cut it into parts.",
    )


def check_size(name: str, width: int, height: int, byte_count: int) -> None:
    """Refuse what would fill the memory: no photograph is so large, or so small for its size.

    Args:
        name: what messages call the file.
        width, height: in pixels.
        byte_count: size of the file.

    Raises:
        ImageTooLarge: the picture is refused.
    """
    pixels = width * height
    if pixels > LARGEST_PIXELS:
        raise too_large(name)
    if pixels > UNQUESTIONED_PIXELS and pixels > PIXELS_PER_BYTE * byte_count:
        raise ImageTooLarge(f"{name} claims {width}x{height} pixels in {byte_count} bytes, so it is refused.", IF_REAL)


def check_total(name: str, pixels: int, byte_count: int) -> None:
    """Refuse files whose many frames or pages would take hours: a frame that repeats another costs a few bytes.

    Args:
        name: what messages call the file.
        pixels: of all frames together, each as large as it is seen.
        byte_count: size of the file.

    Raises:
        ImageTooLarge: the file is refused.
    """
    if pixels > LARGEST_TOTAL or (pixels > UNQUESTIONED_TOTAL and pixels > PIXELS_PER_BYTE * byte_count):
        megapixels = round(pixels / 10**6)
        raise ImageTooLarge(
            f"{name} claims frames of {megapixels} megapixels together in {byte_count} bytes, so it is refused.",
            "If it is real, cut it into parts.",
        )
