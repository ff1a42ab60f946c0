"""The XMP properties that a larger picture makes wrong, changed in place; everything else stays byte for byte.

Sources: XMP specification, part 2 (tiff:, exif:); Photo Sphere XMP (GPano:); Google's dynamic depth, motion photo and
Ultra HDR formats (GCamera:, Container:, Item:, GDepth:, hdrgm:); MWG guidelines 2.0, 5.9 (mwg-rs:); C2PA 2.1, 11.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

ORIENTATION = rb"tiff:Orientation"
WIDTHS = (rb"tiff:ImageWidth", rb"exif:PixelXDimension")
HEIGHTS = (rb"tiff:ImageLength", rb"exif:PixelYDimension")

ALONG_X = (
    *(
        rb"GPano:" + name
        for name in (rb"FullPanoWidthPixels", rb"CroppedAreaImageWidthPixels", rb"CroppedAreaLeftPixels")
    ),
    rb"GPano:LargestValidInteriorRectLeft",
    rb"GPano:LargestValidInteriorRectWidth",
)
ALONG_Y = (
    *(
        rb"GPano:" + name
        for name in (rb"FullPanoHeightPixels", rb"CroppedAreaImageHeightPixels", rb"CroppedAreaTopPixels")
    ),
    rb"GPano:LargestValidInteriorRectTop",
    rb"GPano:LargestValidInteriorRectHeight",
)
"""Numbers of pixels, which grow with the picture."""

GONE = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": None,
    b"http://ns.apple.com/HDRGainMap/1.0/": None,
    b"http://ns.apple.com/pixeldatainfo/1.0/": None,
    b"http://ns.google.com/photos/1.0/container/": None,
    b"http://ns.google.com/photos/1.0/container/item/": None,
    b"http://ns.google.com/photos/dd/1.0/device/": None,
    b"http://ns.google.com/photos/1.0/camera/": rb"(?:MotionPhoto|MicroVideo)\w*",
    b"http://ns.oppo.com/photos/1.0/camera/": rb"(?:MotionPhoto|MicroVideo|VideoLength)\w*",
    b"http://ns.xiaomi.com/photos/1.0/camera/": rb"(?:MotionPhoto|MicroVideo)\w*",
}
"""Namespaces of properties that announce what lies behind the main picture, which no result has: gain maps, videos,
depth maps. With a pattern: only the properties of these names."""

IN_EXTENSION = {
    b"http://ns.google.com/photos/1.0/depthmap/": None,
    b"http://ns.google.com/photos/1.0/image/": None,
    b"http://ns.google.com/photos/1.0/audio/": None,
    b"http://ns.adobe.com/xmp/note/": rb"HasExtendedXMP",
}
"""The same of properties whose data lies in JPEG's extension of the packet."""

_NUMBER = rb"-?\d+(?:\.\d+)?"


def updated_xmp(
    xmp: bytes, width: int, height: int, scale: tuple[float, float] = (1.0, 1.0), turned: bool = True
) -> bytes:
    """The packet for a larger, upright picture.

    Args:
        xmp: the packet.
        width, height: of the result, in pixels.
        scale: result's width and height over the source's (upright).
        turned: the pixels were turned upright, so that the orientation becomes 1; otherwise it stays as it is, as the
            pixels do.
    """
    if turned:
        xmp = _set(xmp, ORIENTATION, lambda _: 1)
    for names, value in ((WIDTHS, width), (HEIGHTS, height)):
        for name in names:
            xmp = _set(xmp, name, lambda _, v=value: v)  # type: ignore[misc]
    for along, factor in ((ALONG_X, scale[0]), (ALONG_Y, scale[1])):
        for name in along:
            xmp = _set(xmp, name, lambda old, f=factor: old * f)  # type: ignore[misc]
    return without_properties(_applied_dimensions(xmp, scale), GONE)


def _set(xmp: bytes, name: bytes, change: Callable[[float], float]) -> bytes:
    """Change a property, whether it is written as an attribute or as an element."""

    def changed(match: re.Match[bytes]) -> bytes:
        return match[1] + _text(change(float(match[2])), match[2]) + match[3]

    xmp = re.sub(rb"(\b" + name + rb"\s*=\s*[\"'])(" + _NUMBER + rb")([\"'])", changed, xmp)
    return re.sub(rb"(<" + name + rb">\s*)(" + _NUMBER + rb")(\s*</)", changed, xmp)


def _text(value: float, old: bytes) -> bytes:
    """The number as the old one was written: whole, or with a fraction."""
    return b"%d" % round(value) if b"." not in old or value == round(value) else repr(round(value, 6)).encode()


def _applied_dimensions(xmp: bytes, scale: tuple[float, float]) -> bytes:
    """The size in pixels that regions of faces were marked in (the regions themselves are parts of 1)."""

    def scaled(match: re.Match[bytes]) -> bytes:
        part = match[0]
        if not re.search(rb"stDim:unit\s*=\s*[\"']pixel|<stDim:unit>\s*pixel", part):
            return part
        part = _set(part, rb"stDim:w", lambda old: old * scale[0])
        return _set(part, rb"stDim:h", lambda old: old * scale[1])

    return re.sub(
        rb"<mwg-rs:AppliedToDimensions\b[^>]*(?:/>|>.*?</mwg-rs:AppliedToDimensions>)", scaled, xmp, flags=re.S
    )


def without_properties(xmp: bytes, namespaces: Mapping[bytes, bytes | None]) -> bytes:
    """The packet without the properties of these namespaces, whatever prefix they have there.

    Args:
        xmp: the packet.
        namespaces: address, and a pattern of the properties' names (None: all).
    """
    for address, names in namespaces.items():
        for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(address) + rb"[\"']", xmp)):
            xmp = _without(xmp, prefix + rb":" + (names or rb"[\w.-]+"))
            if not re.search(rb"[<\s/]" + prefix + rb":", xmp):
                xmp = re.sub(rb"\s+xmlns:" + prefix + rb"\s*=\s*([\"']).*?\1", b"", xmp)
    return xmp


def without_manifest(xmp: bytes) -> bytes:
    """The packet without the link to a C2PA manifest that lay in the same file."""
    return re.sub(
        rb"\s+dcterms:provenance\s*=\s*([\"'])self#.*?\1|<dcterms:provenance>\s*self#.*?</dcterms:provenance>", b"", xmp
    )


def _without(xmp: bytes, name: bytes) -> bytes:
    """The packet without properties of this name (a pattern), as attributes or as elements."""
    xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
    return re.sub(rb"<(" + name + rb")(?:\s[^>]*)?(?:(?<=/)>|>.*?</\1\s*>)\s*", b"", xmp, flags=re.DOTALL)
