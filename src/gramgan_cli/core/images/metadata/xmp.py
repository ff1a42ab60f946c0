"""In-place updates of XMP properties that are wrong for a larger image; all other bytes stay the same.

Sources: XMP specification, part 2 (tiff:, exif:); Photo Sphere XMP (GPano:); Google's dynamic depth, motion photo and
Ultra HDR formats (GCamera:, Container:, Item:, GDepth:, hdrgm:); MWG guidelines 2.0, 5.9 (mwg-rs:); C2PA 2.1, 11.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from gramgan_cli.core.images.metadata.orientation import moved_subject

TIFF, EXIF = b"http://ns.adobe.com/tiff/1.0/", b"http://ns.adobe.com/exif/1.0/"
PANORAMA = b"http://ns.google.com/photos/1.0/panorama/"
REGIONS, DIMENSIONS = (
    b"http://www.metadataworkinggroup.com/schemas/regions/",
    b"http://ns.adobe.com/xap/1.0/sType/Dimensions#",
)
ACDSEE, ACDSEE_DIMENSIONS = b"http://ns.acdsee.com/regions/", b"http://ns.acdsee.com/sType/Dimensions#"
PAGED = b"http://ns.adobe.com/xap/1.0/t/pg/"
DEPTH = b"http://ns.google.com/photos/1.0/depthmap/"
IPTC = b"http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
USUAL = {
    TIFF: b"tiff",
    EXIF: b"exif",
    PANORAMA: b"GPano",
    REGIONS: b"mwg-rs",
    DIMENSIONS: b"stDim",
    IPTC: b"Iptc4xmpExt",
    ACDSEE: b"acdsee-rs",
    ACDSEE_DIMENSIONS: b"acdsee-stDim",
    PAGED: b"xmpTPg",
    DEPTH: b"GDepth",
}
"""Conventional prefix of each namespace; a packet may use others."""

WIDTHS = ((TIFF, b"ImageWidth"), (EXIF, b"PixelXDimension"), (DEPTH, b"ImageWidth"))
HEIGHTS = ((TIFF, b"ImageLength"), (EXIF, b"PixelYDimension"), (DEPTH, b"ImageHeight"))

ALONG_X = (
    b"FullPanoWidthPixels",
    b"CroppedAreaImageWidthPixels",
    b"CroppedAreaLeftPixels",
    b"LargestValidInteriorRectLeft",
    b"LargestValidInteriorRectWidth",
)
ALONG_Y = (
    b"FullPanoHeightPixels",
    b"CroppedAreaImageHeightPixels",
    b"CroppedAreaTopPixels",
    b"LargestValidInteriorRectTop",
    b"LargestValidInteriorRectHeight",
)
"""A panorama's sizes in pixels, which scale with the image."""

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
"""Namespaces of properties that describe additional content of the file, such as gain maps, videos and depth maps,
which no result has. With a pattern: only the properties of matching names."""

IN_EXTENSION = {
    DEPTH: None,
    b"http://ns.google.com/photos/1.0/image/": None,
    b"http://ns.google.com/photos/1.0/audio/": None,
    b"http://ns.adobe.com/xmp/note/": rb"HasExtendedXMP",
}
"""The same for properties whose data is in JPEG's extended XMP."""

_NUMBER = rb"-?\d+(?:\.\d+)?"
_UNICODE = {b"\0\0\0<": "utf-32-be", b"<\0\0\0": "utf-32-le", b"\0<\0?": "utf-16-be", b"<\0?\0": "utf-16-le"}
"""First bytes of packets in other encodings; embedded packets should be UTF-8."""


def updated_xmp(
    xmp: bytes,
    width: int,
    height: int,
    scale: tuple[float, float] = (1.0, 1.0),
    turned: bool = True,
    orientation: int | None = 1,
) -> bytes:
    """Update the packet for a larger, upright image; returns UTF-8.

    Args:
        xmp: the packet.
        width, height: size of the result in pixels.
        scale: the result's width and height over the source's (upright).
        turned: whether the pixels were rotated upright, so that the orientation becomes 1; otherwise it is kept.
        orientation: orientation of the stored pixels; None if unknown.
    """
    xmp = _as_utf8(xmp)
    if turned:
        xmp = _set(xmp, _name(xmp, TIFF, b"Orientation"), lambda _: 1)
    for names, value in ((WIDTHS, width), (HEIGHTS, height)):
        for space, name in names:
            xmp = _set(xmp, _name(xmp, space, name), lambda _, v=value: v)  # type: ignore[misc]
    for along, factor in ((ALONG_X, scale[0]), (ALONG_Y, scale[1])):
        xmp = _set(xmp, _name(xmp, PANORAMA, *along), lambda old, f=factor: old * f)  # type: ignore[misc]
    for axis, factor in zip((b"X", b"Y"), scale, strict=True):
        xmp = _grown_fraction(xmp, _name(xmp, EXIF, b"FocalPlane" + axis + b"Resolution"), factor)
    xmp = _subject(xmp, (width, height), scale, orientation)
    return without_properties(_regions(_applied_dimensions(xmp, scale), scale), GONE)


def _as_utf8(xmp: bytes) -> bytes:
    """Convert the packet to UTF-8; return it unchanged if it can't be decoded."""
    encoding = _UNICODE.get(xmp[:4]) or ("utf-16" if xmp[:2] in (b"\xfe\xff", b"\xff\xfe") else None)
    try:
        return xmp.decode(encoding).encode() if encoding else xmp
    except UnicodeError:
        return xmp


def _name(xmp: bytes, space: bytes, *names: bytes) -> bytes:
    """Return a pattern of property names with every prefix that the packet declares for the namespace."""
    declared = set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(space) + rb"[\"']", xmp))
    prefixes = b"|".join(map(re.escape, sorted(declared | {USUAL[space]})))
    return rb"(?:" + prefixes + rb"):(?:" + b"|".join(names) + rb")"


def _set(xmp: bytes, name: bytes, change: Callable[[float], float]) -> bytes:
    """Change the values of properties (a pattern), as attributes or as elements."""

    def changed(match: re.Match[bytes]) -> bytes:
        return match[1] + _text(change(float(match[2])), match[2]) + match[3]

    xmp = re.sub(rb"(\s" + name + rb"\s*=\s*[\"']\s*)(" + _NUMBER + rb")(\s*[\"'])", changed, xmp)
    return re.sub(rb"(<" + name + rb"(?:\s[^<>]*)?>\s*)(" + _NUMBER + rb")(\s*</)", changed, xmp)


def _text(value: float, old: bytes) -> bytes:
    """Format the number like the old one: as an integer or with decimals."""
    return b"%d" % round(value) if b"." not in old or value == round(value) else repr(round(value, 6)).encode()


def _grown_fraction(xmp: bytes, name: bytes, factor: float) -> bytes:
    """Multiply a property of the form '4000/1' by ``factor``."""

    def grown(match: re.Match[bytes]) -> bytes:
        value = Fraction(int(match[2]), int(match[3]) or 1) * Fraction(factor).limit_denominator(10_000)
        return match[1] + b"%d/%d" % (value.numerator, value.denominator)

    fraction = rb"(\d{1,12})/(\d{1,12})"
    xmp = re.sub(rb"(\s" + name + rb"\s*=\s*[\"']\s*)" + fraction, grown, xmp)
    return re.sub(rb"(<" + name + rb"(?:\s[^<>]*)?>\s*)" + fraction, grown, xmp)


def _subject(xmp: bytes, size: tuple[int, int], scale: tuple[float, float], orientation: int | None) -> bytes:
    """Update the position of the main subject: the coordinates of a point, circle or box, as in EXIF."""
    name = _name(xmp, EXIF, b"SubjectArea", b"SubjectLocation")

    def moved(match: re.Match[bytes]) -> bytes:
        values = [int(value) for value in re.findall(rb":li(?:\s[^<>]*)?>\s*(\d+)", match[0])]
        if orientation is None or not 2 <= len(values) <= 4:
            return b""
        left = iter(moved_subject(values, size, scale, orientation))
        return re.sub(rb"(:li(?:\s[^<>]*)?>\s*)\d+", lambda one: one[1] + b"%d" % next(left), match[0])

    return re.sub(rb"<(" + name + rb")(?:\s[^<>]*)?>.*?</\1\s*>", moved, xmp, flags=re.DOTALL)


def _regions(xmp: bytes, scale: tuple[float, float]) -> bytes:
    """Scale IPTC regions that are measured in pixels (Photo Metadata Standard 2023.2, RegionBoundary)."""
    boundary = _name(xmp, IPTC, b"RegionBoundary")
    unit = _name(xmp, IPTC, b"rbUnit")

    def scaled(match: re.Match[bytes]) -> bytes:
        part = match[0]
        if not re.search(unit + rb"\s*(?:=\s*[\"']|>)\s*pixel", part):
            return part
        part = _set(part, _name(xmp, IPTC, b"rbX", b"rbW", b"rbRx"), lambda old: old * scale[0])
        return _set(part, _name(xmp, IPTC, b"rbY", b"rbH"), lambda old: old * scale[1])

    return re.sub(rb"<(" + boundary + rb")\b[^<>]*(?:(?<=/)>|>.*?</\1\s*>)", scaled, xmp, flags=re.DOTALL)


def _applied_dimensions(xmp: bytes, scale: tuple[float, float]) -> bytes:
    """Scale the image size that regions refer to (the regions themselves are relative), and a page's in pixels.

    MWG's and ACDSee's regions and Adobe's paged text write it alike.
    """
    inner = [rb"(?:" + _name(xmp, space, b"%s") + rb")" for space in (DIMENSIONS, ACDSEE_DIMENSIONS)]
    unit, width, height = (b"|".join(name % part for name in inner) for part in (b"unit", b"w", b"h"))

    def scaled(match: re.Match[bytes]) -> bytes:
        part = match[0]
        if not re.search(rb"(?:" + unit + rb")\s*(?:=\s*[\"']|>)\s*[Pp]ixel", part):
            return part
        part = _set(part, rb"(?:" + width + rb")", lambda old: old * scale[0])
        return _set(part, rb"(?:" + height + rb")", lambda old: old * scale[1])

    sizes = (REGIONS, b"AppliedToDimensions"), (ACDSEE, b"AppliedToDimensions"), (PAGED, b"MaxPageSize")
    name = b"|".join(_name(xmp, space, size) for space, size in sizes)
    return re.sub(rb"<(" + name + rb")\b[^<>]*(?:(?<=/)>|>.*?</\1\s*>)", scaled, xmp, flags=re.DOTALL)


def without_properties(xmp: bytes, namespaces: Mapping[bytes, bytes | None]) -> bytes:
    """Remove the properties of these namespaces, whatever their prefix.

    Args:
        xmp: the packet.
        namespaces: namespace URI -> pattern of property names (None: all).
    """
    for address, names in namespaces.items():
        for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(address) + rb"[\"']", xmp)):
            xmp = _without(xmp, prefix + rb":" + (names or rb"[\w.-]+"))
            if not re.search(rb"[<\s/]" + prefix + rb":", xmp):
                xmp = re.sub(rb"\s+xmlns:" + prefix + rb"\s*=\s*([\"']).*?\1", b"", xmp)
    return xmp


def without_manifest(xmp: bytes) -> bytes:
    """Remove the link to a C2PA manifest in the same file."""
    return re.sub(
        rb"\s+dcterms:provenance\s*=\s*([\"'])self#.*?\1|<dcterms:provenance>\s*self#.*?</dcterms:provenance>", b"", xmp
    )


def _without(xmp: bytes, name: bytes) -> bytes:
    """Remove properties of this name (a pattern), as attributes or as elements."""
    xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
    return re.sub(rb"<(" + name + rb")(?:\s[^>]*)?(?:(?<=/)>|>.*?</\1\s*>)\s*", b"", xmp, flags=re.DOTALL)
