"""The few XMP properties that a larger, upright picture makes wrong (XMP specification, part 2: tiff: and exif:)."""

from __future__ import annotations

import re


def _set(xmp: bytes, name: bytes, value: int) -> bytes:
    """Change a property, whether it is written as an attribute or as an element."""
    number = str(value).encode()
    xmp = re.sub(rb"(\b" + name + rb"\s*=\s*[\"'])\d+([\"'])", rb"\g<1>" + number + rb"\2", xmp)
    return re.sub(rb"(<" + name + rb">\s*)\d+(\s*</)", rb"\g<1>" + number + rb"\2", xmp)


def updated_xmp(xmp: bytes, width: int, height: int) -> bytes:
    """The packet for an upright picture of this size; everything else stays byte for byte."""
    xmp = _set(xmp, rb"tiff:Orientation", 1)
    for name in (rb"tiff:ImageWidth", rb"exif:PixelXDimension"):
        xmp = _set(xmp, name, width)
    for name in (rb"tiff:ImageLength", rb"exif:PixelYDimension"):
        xmp = _set(xmp, name, height)
    return xmp
