"""Recognition of file types by their first bytes: supported image formats, and known unsupported ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HEAD = 4096
"""Number of bytes at the start of a file that determine its kind."""

EXTRAS = {"heic": ("heic", "pillow_heif"), "jxl": ("jxl", "pillow_jxl")}
"""Format -> (extra that it needs, package that the extra installs)."""


@dataclass(frozen=True)
class Kind:
    """The type of a file."""

    name: str
    """Supported formats: as ``Photo.format`` ('png', 'jpg', ...). Others: a short name."""
    label: str
    """Name for messages: 'JPEG', 'Photoshop document', ..."""
    read: bool
    """Whether gramgan can read it (HEIC and JPEG XL: if the extra is installed)."""


LABELS = {
    "png": "PNG",
    "jpg": "JPEG",
    "webp": "WebP",
    "tiff": "TIFF",
    "gif": "GIF",
    "bmp": "BMP",
    "ppm": "PPM",
    "avif": "AVIF",
    "heic": "HEIC",
    "jxl": "JPEG XL",
}
"""Labels of the supported formats."""

JPEG_ENDINGS = r"\.p?j[a-z]{1,4}"
"""Pattern of JPEG suffixes such as .jfif, .jfi, .jif, .jps, .pjpeg; not .jpg_original, which is a tool's backup."""

_READ = (
    ("png", rb"\x89PNG\r\n\x1a\n"),
    ("jpg", rb"\xff\xd8\xff"),
    ("gif", rb"GIF8[79]a"),
    ("webp", rb"RIFF....WEBP"),
    ("tiff", rb"II[*+]\0|MM\0[*+]"),
    ("jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    ("ppm", rb"P[1-6f]\s"),
    ("bmp", rb"BM|[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
)

RAW = "camera raw image"
DEVELOP_RAW = "Develop it first, for example with darktable or RawTherapee."

_NOT_READ = (
    ("raw", RAW, rb"II\*\0....CR\x02|FUJIFILMCCD-RAW|IIR[OS]\x08\0|MMOR|IIU\0|FOVb|\0MRM|....ftypcrx "),
    ("psd", "Photoshop document", rb"8BPS\0[\x01\x02]"),
    ("jp2", "JPEG 2000 image", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("jxr", "JPEG XR image", rb"II\xbc"),
    ("exr", "OpenEXR image", rb"v/1\x01"),
    ("hdr", "Radiance image", rb"#\?(RADIANCE|RGBE)"),
    ("dds", "DirectDraw texture", rb"DDS "),
    ("ico", "icon", rb"\0\0[\x01\x02]\0[\x01-\xff]\0|icns"),
    ("xcf", "GIMP document", rb"gimp xcf "),
    ("eps", "PostScript document", rb"%!PS|\xc5\xd0\xd3\xc6"),
    (
        "svg",
        "SVG drawing",
        rb"\s*(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--((?!-->).)*-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]",
    ),
    ("qoi", "QOI image", rb"qoif"),
    ("pam", "PAM image", rb"P7\n"),
    ("pfm", "colour PFM image", rb"PF\s"),
    ("fits", "FITS image", rb"SIMPLE  ="),
    ("dicom", "DICOM image", rb".{128}DICM"),
    ("sgi", "SGI image", rb"\x01\xda[\0\x01][\x01\x02]"),
    ("sun", "Sun raster image", rb"\x59\xa6\x6a\x95"),
    ("pcx", "PCX image", rb"\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08]"),
    ("flif", "FLIF image", rb"FLIF"),
    ("bpg", "BPG image", rb"BPG\xfb"),
    ("ff", "farbfeld image", rb"farbfeld"),
    ("djvu", "DjVu document", rb"AT&TFORM"),
    ("wmf", "Windows metafile", rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF"),
    ("xpm", "XPM image", rb"/\* XPM \*/"),
)
"""(name, label, pattern of the first bytes) of known formats that can't be read."""

_RAW_SUFFIXES = frozenset(
    {".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq"}
    | {".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".pxn", ".raf", ".raw", ".rw2"}
    | {".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
"""Suffixes of camera raw files, most of which start like a TIFF."""

_TGA_SUFFIXES = frozenset({".tga", ".vda", ".icb", ".vst"})

_SUFFIXES = {
    ".psd": "psd",
    ".psb": "psd",
    ".jp2": "jp2",
    ".j2k": "jp2",
    ".jpf": "jp2",
    ".jpx": "jp2",
    ".jxr": "jxr",
    ".exr": "exr",
    ".hdr": "hdr",
    ".dds": "dds",
    ".ico": "ico",
    ".xcf": "xcf",
    ".eps": "eps",
    ".svg": "svg",
    ".qoi": "qoi",
    ".pcx": "pcx",
    ".fits": "fits",
    ".dcm": "dicom",
}
"""Suffixes of unsupported formats, for remote files whose content is not examined."""

_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))


def kind_of_bytes(head: bytes) -> Kind | None:
    """Return the kind of a file by its first bytes, or None if it is not a known image type.

    Args:
        head: at least the first ``HEAD`` bytes, or the whole file.
    """
    for name, label, beginning in _NOT_READ:
        if re.match(beginning, head[:HEAD], re.DOTALL):
            return Kind(name, label, read=False)
    for name, beginning in _READ:
        if re.match(beginning, head[:32], re.DOTALL):
            return _readable(name)
    if head[4:8] == b"ftyp":
        return _with_boxes(head)
    return None


def _readable(name: str) -> Kind:
    read = name not in EXTRAS or find_spec(EXTRAS[name][1]) is not None
    return Kind(name, LABELS[name], read)


def _with_boxes(head: bytes) -> Kind | None:
    """Recognise AVIF or HEIC by the brands in the first box (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    if {b"avif", b"avis"} & set(brands):
        return _readable("avif")
    return _readable("heic") if _HEIF_BRANDS & set(brands) else None


def kind_of(path: Path) -> Kind | None:
    """Return the kind of a file by its content, or None if it is not a known image type or can't be read.

    Camera raw files, most of which start like a TIFF, and TGA, which has no signature, are recognised by their suffix.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    kind = kind_of_bytes(head)
    suffix = path.suffix.lower()
    if suffix in _RAW_SUFFIXES and (kind is None or kind.name == "tiff"):
        return Kind("raw", RAW, read=False)
    if kind is None and suffix in _TGA_SUFFIXES:
        return Kind("tga", "TGA image", read=False)
    return kind


def kind_by_suffix(suffix: str) -> Kind | None:
    """Return the unsupported kind that a suffix stands for, or None for all other suffixes."""
    suffix = suffix.lower()
    if suffix in _RAW_SUFFIXES:
        return Kind("raw", RAW, read=False)
    if suffix in _TGA_SUFFIXES:
        return Kind("tga", "TGA image", read=False)
    labels = {name: label for name, label, _ in _NOT_READ}
    return Kind(_SUFFIXES[suffix], labels[_SUFFIXES[suffix]], read=False) if suffix in _SUFFIXES else None
