"""Updating sizes in the texts that ImageMagick writes into PNG.

They are whole profiles in hexadecimal ("Raw profile type exif": name, length and bytes on lines of their own, see
``Magick_png_write_raw_profile`` in ImageMagick's coders/png.c) and single values ("exif:PixelXDimension").
"""

from __future__ import annotations

import re
import zlib

from gramgan_cli.core.images.metadata.exif import DamagedExif, updated_exif
from gramgan_cli.core.images.metadata.xmp import updated_xmp, without_manifest

LARGEST_TEXT = 2**24
"""Maximum decompressed size of a text in bytes."""

PROFILE = b"Raw profile type "
EXIF_HEADER, XMP_HEADER = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"

WIDTHS = (b"exif:PixelXDimension", b"exif:ExifImageWidth", b"exif:ImageWidth", b"tiff:ImageWidth")
HEIGHTS = (b"exif:PixelYDimension", b"exif:ExifImageLength", b"exif:ImageLength", b"tiff:ImageLength")
ORIENTATIONS = (b"exif:Orientation", b"tiff:Orientation")

_HEXADECIMAL = re.compile(rb"\s*([\w:-]+)\s+(\d+)\s([0-9a-fA-F\s]*)")


class DamagedText(ValueError):
    """A text about the image can't be read, so it can't be updated."""


def updated_text(kind: bytes, content: bytes, size: tuple[int, int], scale: tuple[float, float], turned: bool) -> bytes:
    """Return the content of a text chunk, updated to a larger image; other texts stay as they are.

    Args:
        kind: tEXt, zTXt or iTXt.
        content: content of the chunk.
        size: (width, height) of the result in pixels.
        scale: the result's width and height over the source's.
        turned: whether the pixels were rotated upright, so that the orientation becomes 1; otherwise it is kept.

    Raises:
        DamagedText: the text is about the image, but can't be read.
    """
    keyword = content.partition(b"\0")[0]
    is_profile = keyword.startswith(PROFILE) and keyword[len(PROFILE) :].lower() in (b"exif", b"app1", b"xmp")
    values = dict.fromkeys(WIDTHS, size[0]) | dict.fromkeys(HEIGHTS, size[1]) | dict.fromkeys(ORIENTATIONS, 1)
    if not is_profile and (keyword not in values or (keyword in ORIENTATIONS and not turned)):
        return content
    head, text, packed = _parts(kind, content)
    text = _updated_profile(text, size, scale, turned) if is_profile else str(values[keyword]).encode()
    return head + (zlib.compress(text) if packed else text)


def _parts(kind: bytes, content: bytes) -> tuple[bytes, bytes, bool]:
    """Return everything before the text, the text, and whether it is stored compressed."""
    keyword, _, rest = content.partition(b"\0")
    head, packed = keyword + b"\0", kind == b"zTXt"
    if kind == b"zTXt":
        head, rest = head + rest[:1], rest[1:]
    elif kind == b"iTXt":
        language, _, below = rest[2:].partition(b"\0")
        translated, _, text = below.partition(b"\0")
        head, rest, packed = head + rest[:2] + language + b"\0" + translated + b"\0", text, rest[:1] == b"\1"
    if not packed:
        return head, rest, False
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(rest, LARGEST_TEXT)
    except zlib.error as error:
        raise DamagedText(str(error)) from error
    if not unpacker.eof:
        raise DamagedText("it is too long or cut off")
    return head, text, True


def _updated_profile(text: bytes, size: tuple[int, int], scale: tuple[float, float], turned: bool) -> bytes:
    match = _HEXADECIMAL.fullmatch(text.rstrip(b"\0"))
    digits = b"".join(match[3].split()) if match else b""
    if match is None or len(digits) != 2 * int(match[2]):
        raise DamagedText("it is not a profile in hexadecimal")
    profile = bytes.fromhex(digits.decode())
    header = next((one for one in (EXIF_HEADER, XMP_HEADER) if profile.startswith(one)), b"")
    body = profile[len(header) :]
    if header == XMP_HEADER or match[1].lower() == b"xmp":
        body = without_manifest(updated_xmp(body, *size, scale, turned, None if turned else 1))
    else:
        try:
            body = updated_exif(body, *size, scale, turned)
        except DamagedExif as error:
            raise DamagedText(str(error)) from error
    written = (header + body).hex().encode()
    lines = b"\n".join(written[at : at + 72] for at in range(0, len(written), 72))
    return b"\n%s\n%8d\n%s\n" % (match[1], len(header + body), lines)
