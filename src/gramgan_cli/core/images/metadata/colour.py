"""Conversion of CMYK and Lab to sRGB, and of ICC profiles between grey and RGB."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

from PIL import Image, ImageCms


def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Convert a CMYK or Lab image to sRGB, through its own profile if that is usable, else by formula.

    Lab's profile is the colour space itself (D50). CMYK without a profile: R = (255 - C) (255 - K) / 255.
    """
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")) if image.mode == "LAB" else _profile(icc)
    if source is not None:
        try:
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _profile(icc: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """Return the profile, or None if it is invalid."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc)) if icc else None
    except OSError:
        return None


def is_grey_profile(icc: bytes) -> bool:
    """Return whether an ICC profile describes grey values."""
    return icc[16:20] == b"GRAY"


def is_profile(icc: bytes) -> bool:
    """Return whether these bytes are an ICC profile (ICC.1:2010, 7.2: size and signature)."""
    return len(icc) > 132 and icc[36:40] == b"acsp" and int.from_bytes(icc[:4], "big") <= len(icc)


def fits_channels(icc: bytes, channels: int) -> bool:
    """Return whether a profile fits images with this number of channels (including alpha): grey or RGB."""
    return icc[16:20] == (b"GRAY" if channels < 3 else b"RGB ")


def grey_profile_like(icc: bytes) -> bytes | None:
    """Return a grey profile in which a value looks like three equal values in the given RGB profile.

    Returns None if the profile's three curves differ. (ICC.1:2010, 8.3 to 8.4.)
    """
    tags = _tags(icc)
    curves = {tags.get(name) for name in (b"rTRC", b"gTRC", b"bTRC")}
    curve = next(iter(curves))
    if len(curves) != 1 or curve is None or icc[16:20] != b"RGB ":
        return None
    kept = {name: tags[name] for name in (b"desc", b"cprt", b"wtpt") if name in tags}
    return _profile_of({b"kTRC": curve} | kept, b"GRAY", icc)


def rgb_profile_like(icc: bytes) -> bytes | None:
    """Return an RGB profile in which three equal values look like one value in the given grey profile.

    Its three curves are the grey profile's, its primaries sRGB's. Returns None if the profile has no curve.
    (ICC.1:2010, 7.2 to 7.3 and 8.3 to 8.4.)
    """
    tags = _tags(icc)
    if b"kTRC" not in tags:
        return None
    columns = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
    made = {name: b"XYZ \0\0\0\0" + _fixed(*column) for name, column in zip(_COLUMNS, columns, strict=True)}
    made |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tags[b"kTRC"])
    made |= {name: tags[name] for name in (b"desc", b"cprt", b"wtpt") if name in tags}
    return _profile_of(made, b"RGB ", icc)


def _profile_of(made: Mapping[bytes, bytes], space: bytes, icc: bytes) -> bytes:
    """Return a profile with these tags and the header of ``icc``."""
    at, table, body = 132 + 12 * len(made), b"", b""
    for name, content in made.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    head = struct.pack(">I", at + len(body)) + icc[4:16] + space + b"XYZ " + icc[24:84] + bytes(44)
    return head + struct.pack(">I", len(made)) + table + body


_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")


def _fixed(*values: float) -> bytes:
    """Pack numbers as s15Fixed16."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """Return the contents of a profile's tags, without those that exceed the profile."""
    count = min(int.from_bytes(icc[128:132], "big"), 200)
    rows = [icc[132 + 12 * index : 144 + 12 * index] for index in range(count)]
    tags = [struct.unpack(">4sII", row) for row in rows if len(row) == 12]
    return {name: icc[at : at + size] for name, at, size in tags if at + size <= len(icc)}
