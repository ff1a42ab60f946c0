"""Texts in PNG: sizes that ImageMagick writes there follow the picture, and comments go along."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest
from photo_corpus import HEIGHT, WIDTH, scene, with_pillow
from photo_parts import XMP
from PIL import Image, PngImagePlugin
from upscale_helpers import upscale_one

EXIF_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def exif(orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    block.get_ifd(0x8769).update({0xA002: WIDTH, 0xA003: HEIGHT, 0x9214: (10, 6)})
    return block.tobytes()


def raw(name: str, profile: bytes, length: int | None = None) -> str:
    """As ``Magick_png_write_raw_profile`` writes it, with 36 bytes per line."""
    digits = profile.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{name}\n{length or len(profile):8d}\n{lines}\n"


def png(keyword: str, text: str, kind: str = "tEXt", **options: object) -> bytes:
    texts = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        texts.add_itxt(keyword, text, "en", "", zip=True)
    else:
        texts.add_text(keyword, text, zip=kind == "zTXt")
    return with_pillow(scene(3), "PNG", pnginfo=texts, **options)


def profile_of(path: Path | str, keyword: str) -> bytes:
    with Image.open(path) as image:
        image.load()
        name, length, digits = re.fullmatch(r"\n(\w+)\n +(\d+)\n([0-9a-f\n]+)", image.text[keyword]).groups()  # type: ignore
    profile = bytes.fromhex(digits.replace("\n", ""))
    assert len(profile) == int(length)
    assert keyword.endswith(name)
    return profile


def facts_of(block: bytes) -> tuple[int, ...]:
    found = Image.Exif()
    found.load(block)
    inside = found.get_ifd(0x8769)
    return found[0x0112], inside[0xA002], inside[0xA003], *inside[0x9214]


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_in_a_text_follows(kind, name, tmp_path):
    keyword = f"Raw profile type {name}"
    result = upscale_one(png(keyword, raw(name, exif()), kind), tmp_path, "a.png")
    assert result.error is None
    assert facts_of(profile_of(result.output, keyword)) == (1, 4 * WIDTH, 4 * HEIGHT, 40, 24)


@pytest.mark.parametrize(("name", "head"), [("xmp", b""), ("APP1", EXIF_XMP)])
def test_xmp_in_a_text_follows(name, head, tmp_path):
    keyword = f"Raw profile type {name}"
    result = upscale_one(png(keyword, raw(name, head + XMP), "zTXt"), tmp_path, "a.png")
    found = profile_of(result.output, keyword)
    assert found.startswith(head)
    assert b'tiff:ImageWidth="%d"' % (4 * WIDTH) in found
    assert b"A title" in found


def test_an_orientation_in_a_text_alone_is_left_as_it_is(tmp_path):
    """Browsers don't apply it; where EXIF has it too, the picture is turned, and the text agrees."""
    keyword = "Raw profile type exif"
    alone = upscale_one(png(keyword, raw("exif", exif(6))), tmp_path, "a.png")
    assert alone.output_size == (4 * WIDTH, 4 * HEIGHT)
    assert facts_of(profile_of(alone.output, keyword)) == (6, 4 * WIDTH, 4 * HEIGHT, 40, 24)
    both = upscale_one(png(keyword, raw("exif", exif(6)), exif=exif(6)), tmp_path, "b.png")
    assert both.output_size == (4 * HEIGHT, 4 * WIDTH)
    turned = (1, 4 * HEIGHT, 4 * WIDTH, 4 * (HEIGHT - 6), 40)  # turned by 90 degrees to the right
    assert facts_of(profile_of(both.output, keyword)) == turned


@pytest.mark.parametrize(
    ("keyword", "before", "after"),
    [
        ("exif:PixelXDimension", str(WIDTH), str(4 * WIDTH)),
        ("exif:PixelYDimension", str(HEIGHT), str(4 * HEIGHT)),
        ("exif:ExifImageWidth", str(WIDTH), str(4 * WIDTH)),
        ("tiff:ImageLength", str(HEIGHT), str(4 * HEIGHT)),
        ("exif:Orientation", "6", "6"),
        ("exif:ISOSpeedRatings", str(WIDTH), str(WIDTH)),
        ("Raw profile type iptc", raw("iptc", b"\x1c\x02\x05\0\1x"), raw("iptc", b"\x1c\x02\x05\0\1x")),
    ],
)
def test_single_values_follow(keyword, before, after, tmp_path):
    result = upscale_one(png(keyword, before), tmp_path, "a.png")
    with Image.open(result.output) as image:
        assert image.text[keyword] == after


def bomb() -> bytes:
    """A text that unpacks to more than 16 MB."""
    content = b"Raw profile type exif\0\0" + zlib.compress(bytes(2**25), 9)
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    plain = with_pillow(scene(3), "PNG")
    return plain[:33] + chunk + plain[33:]


@pytest.mark.parametrize(
    "data",
    [
        png("Raw profile type exif", raw("exif", exif(), length=5)),
        png("Raw profile type exif", "no hexadecimal digits"),
        png("Raw profile type exif", raw("exif", b"no block")),
        bomb(),
    ],
    ids=["length", "digits", "block", "bomb"],
)
def test_a_damaged_profile_in_a_text_is_named(data, tmp_path):
    result = upscale_one(data, tmp_path, "a.png")
    assert result.error is None
    assert result.warnings == ["Its text 'Raw profile type exif' is damaged and was left out."]
    assert b"Raw profile" not in Path(result.output).read_bytes()


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "compressed iTXt"])
def test_a_comment_passes_from_png_to_jpeg(kind, tmp_path):
    text = PngImagePlugin.PngInfo()
    if "iTXt" in kind:
        text.add_itxt("Comment", "Grüße aus Łódź", zip=kind != "iTXt")
    else:
        text.add_text("Comment", "Grüße", zip=kind == "zTXt")
    record = upscale_one(with_pillow(scene(3), "PNG", pnginfo=text), tmp_path, "a.png", format="jpg")
    assert record.warnings == []
    assert Image.open(record.output).info["comment"].decode() == ("Grüße aus Łódź" if "iTXt" in kind else "Grüße")
