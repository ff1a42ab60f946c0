"""Updating machine-written image descriptions that contain sizes (OME-XML 2016-06; tifffile's JSON; ImageJ)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction

from gramgan_cli.core.images.metadata import ifd
from gramgan_cli.core.images.metadata.exif import X_RESOLUTION, Y_RESOLUTION, DamagedExif
from gramgan_cli.core.images.metadata.ifd import DamagedTiff, Directory, Layout, Value

DESCRIPTION = 0x010E

_NUMBER = rb"([\d.eE+-]+)"

ALONG_X, ALONG_Y = (b"X", b"X1", b"X2", b"RadiusX", b"Width"), (b"Y", b"Y1", b"Y2", b"RadiusY", b"Height")
"""Attributes of OME's shapes (regions of interest) in pixels."""


def is_ome(exif: bytes | None) -> bool:
    """Return whether the block's description is OME-XML."""
    return exif is not None and b"<OME" in exif and b"openmicroscopy.org" in exif


def is_imagej(exif: bytes | None) -> bool:
    """Return whether the description is ImageJ's with a unit of length; the resolution is then pixels per unit."""
    return exif is not None and b"ImageJ=" in exif and b"\nunit=" in exif


def updated_description(exif: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """Return the EXIF block with its description updated; unchanged if the description is of another kind.

    Args:
        exif: a TIFF structure.
        before, after: (width, height) of the source and of the result.

    Raises:
        DamagedExif: the block can't be parsed.
    """
    if not is_ome(exif) and not is_imagej(exif) and b'"shape"' not in exif:
        return exif
    try:
        layout = ifd.layout_of(exif)
        directory, _ = ifd.read_directory(exif, ifd.first_directory(exif, layout), layout)
        if DESCRIPTION not in directory:
            return exif
        text = directory[DESCRIPTION].data.rstrip(b"\0")
        if text.startswith(b"ImageJ="):
            for tag, axis in ((X_RESOLUTION, 0), (Y_RESOLUTION, 1)):
                _grow(directory, tag, Fraction(after[axis], before[axis]), layout)
        else:
            text = updated_ome(text, before, after) if b"<OME" in text else _updated_json(text, before, after)
        directory[DESCRIPTION] = Value(ifd.ASCII, text + b"\0")
        return ifd.pack_block(directory, layout)
    except DamagedTiff as error:
        raise DamagedExif(str(error)) from error


def _grow(directory: Directory, tag: int, factor: Fraction, layout: Layout) -> None:
    """Multiply a rational tag by ``factor``."""
    if tag in directory and directory[tag].kind == ifd.RATIONAL:
        above, below = layout.unpack("II", directory[tag].data, 0)
        value = (Fraction(above, below or 1) * factor).limit_denominator(2**16)
        if below and value.numerator < 2**32:
            directory[tag] = Value(ifd.RATIONAL, layout.pack("II", value.numerator, value.denominator))


def updated_ome(xml: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """Update OME-XML to the result's size: pixels, physical pixel size, and shapes measured in pixels."""
    scale = after[0] / before[0], after[1] / before[1]

    def pixels(match: re.Match[bytes]) -> bytes:
        tag = match[0]
        for axis, name in enumerate((b"X", b"Y")):
            if not re.search(rb"\bSize" + name + rb"\s*=\s*[\"']" + str(before[axis]).encode() + rb"[\"']", tag):
                continue
            tag = _attribute(tag, b"Size" + name, lambda _, v=after[axis]: v)  # type: ignore[misc]
            tag = _attribute(tag, b"PhysicalSize" + name, lambda old, f=scale[axis]: old / f)  # type: ignore[misc]
        return tag

    def shape(match: re.Match[bytes]) -> bytes:
        tag = match[0]
        for factor, names in zip(scale, (ALONG_X, ALONG_Y), strict=True):
            for name in names:
                tag = _attribute(tag, name, lambda old, f=factor: old * f)  # type: ignore[misc]
        return re.sub(rb"(\bPoints\s*=\s*[\"'])([^\"']*)", lambda m: m[1] + _points(m[2], scale), tag)

    xml = re.sub(rb"<(?:\w+:)?Pixels\b[^>]*>", pixels, xml)
    return re.sub(rb"<(?:\w+:)?(?:Rectangle|Ellipse|Point|Line|Label|Mask|Polygon|Polyline)\b[^>]*>", shape, xml)


def _attribute(tag: bytes, name: bytes, change: Callable[[float], float]) -> bytes:
    def changed(match: re.Match[bytes]) -> bytes:
        return match[1] + f"{change(float(match[2])):.10g}".encode()

    return re.sub(rb"(\s" + name + rb"\s*=\s*[\"'])" + _NUMBER + rb"(?=[\"'])", changed, tag)


def _points(written: bytes, scale: tuple[float, float]) -> bytes:
    """Scale a list of points, 'x,y x,y ...'."""
    try:
        pairs = [tuple(float(number) for number in pair.split(b",")) for pair in written.split()]
        return b" ".join(f"{x * scale[0]:.10g},{y * scale[1]:.10g}".encode() for x, y in pairs)
    except ValueError:
        return written


def _updated_json(text: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """Update tifffile's {"shape": [..., height, width, ...]}."""
    try:
        described = json.loads(text)
        shape = list(described["shape"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return text
    for at in range(len(shape) - 1):
        if shape[at : at + 2] == [before[1], before[0]]:
            shape[at : at + 2] = [after[1], after[0]]
            return json.dumps({**described, "shape": shape}).encode()
    return text
