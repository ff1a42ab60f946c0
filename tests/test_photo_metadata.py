"""What surrounds the pixels: profiles, EXIF, XMP, resolution, text."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from gramgan_cli.core.images.exif import DamagedExif, exif_orientation, updated_exif
from gramgan_cli.core.images.xmp import updated_xmp
from photo_corpus import HEIGHT, WIDTH, chunk, exif_with, make_png, scene, with_pillow, with_tifffile
from upscale_helpers import decoded, upscale_one

FORMATS = ["png", "jpg", "webp", "tiff", "avif"]
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'tiff:Orientation="6" tiff:ImageWidth="34"><dc:title>A title</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
)


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def rgb_profile(name: str, primaries: list[tuple[float, float, float]], gamma: float) -> bytes:
    """A matrix ICC profile (v2): D50 columns of red, green, blue, and a gamma curve."""
    xyz = [b"XYZ \0\0\0\0" + b"".join(map(s15, p)) for p in [(0.9642, 1.0, 0.8249), *primaries]]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = name.encode() + b"\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = dict(zip([b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ"], xyz, strict=True))
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"desc": desc.ljust(-(-len(desc) // 4) * 4, b"\0")}
    tags[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = rgb_profile(
    "Display P3", [(0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)], 2.2
)
ADOBE_RGB = rgb_profile(
    "Adobe RGB", [(0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)], 2.2
)


def as_seen(image: Image.Image) -> np.ndarray:
    """The picture in sRGB, by its own profile: what a colour-managed viewer shows."""
    icc = image.info.get("icc_profile")
    if icc is None:
        return np.asarray(image.convert("RGB")).astype(float)
    srgb = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image.convert("RGB"), io.BytesIO(icc), srgb)).astype(float)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("profile", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
def test_wide_profiles_stay_and_colours_look_the_same(form, profile, tmp_path):
    data = with_pillow(scene(3), "PNG", icc_profile=profile)
    record = upscale_one(data, tmp_path, "a.png", format=form)
    with Image.open(record.output) as found, Image.open(tmp_path / "a.png") as before:
        assert found.info["icc_profile"] == profile
        seen, wanted = as_seen(found)[::4, ::4], as_seen(before)
        assert np.abs(seen - wanted).mean() < {"png": 0.01, "tiff": 0.01, "jpg": 2, "avif": 3, "webp": 6}[form]
        assert np.abs(wanted - np.asarray(before)).mean() > 2, "the profile matters, or this shows nothing"


@pytest.mark.parametrize("source", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_profiles_come_from_every_format(source, tmp_path):
    data = with_pillow(scene(3), source, icc_profile=ADOBE_RGB)
    for form in FORMATS:
        record = upscale_one(data, tmp_path, f"a.{source.lower()}", format=form, overwrite=True)
        assert Image.open(record.output).info["icc_profile"] == ADOBE_RGB


@pytest.mark.parametrize("form", FORMATS)
def test_exif_is_kept_with_orientation_and_dimensions_of_the_result(form, tmp_path):
    data = with_pillow(scene(3), "JPEG", exif=exif_with(6), quality=95)
    record = upscale_one(data, tmp_path, "a.jpg", format=form)
    assert record.output_size == (4 * HEIGHT, 4 * WIDTH)
    with Image.open(record.output) as found:
        assert found.size == (4 * HEIGHT, 4 * WIDTH)
        exif = found.getexif()
        assert exif.get(0x0112, 1) == 1
        assert exif[0x010F] == "Maker"
        inside = exif.get_ifd(0x8769)
        assert inside[0x9003] == "2024:05:06 07:08:09"
        assert (inside[0xA002], inside[0xA003]) == found.size


@pytest.mark.parametrize("form", FORMATS)
def test_tags_of_a_tiff_become_exif(form, tmp_path):
    tags = [(271, 2, 0, "Maker", True), (315, 2, 0, "An artist", True)]
    record = upscale_one(with_tifffile(scene(3, np.uint16), extratags=tags), tmp_path, "a.tif", format=form)
    exif = Image.open(record.output).getexif() if form != "tiff" else None
    if exif is None:
        with tifffile.TiffFile(record.output) as found:
            exif = {tag.code: tag.value for tag in found.pages[0].tags}
    assert exif[271] == "Maker"
    assert exif[315] == "An artist"


def with_thumbnail(order: str) -> bytes:
    """EXIF with a maker's note in the middle and a thumbnail at the end."""
    mark = b"II" if order == "<" else b"MM"

    def pack(codes: str, *values: int) -> bytes:
        return struct.pack(order + codes, *values)

    note = b"secret offsets 0123456789"
    exif_at, note_at = 8 + 2 + 2 * 12 + 4, 8 + 2 + 2 * 12 + 4 + 2 + 2 * 12 + 4
    second_at = note_at + len(note) + 1
    thumb_at = second_at + 2 + 2 * 12 + 4
    thumb = with_pillow(scene(3), "JPEG")
    first = (
        pack("H", 2) + pack("HHIHH", 0x0112, 3, 1, 8, 0) + pack("HHII", 0x8769, 4, 1, exif_at) + pack("I", second_at)
    )
    inside = pack("H", 2) + pack("HHII", 0x927C, 7, len(note), note_at) + pack("HHIHH", 0xA002, 3, 1, 34, 0) + bytes(4)
    second = pack("H", 2) + pack("HHII", 0x0201, 4, 1, thumb_at) + pack("HHII", 0x0202, 4, 1, len(thumb)) + bytes(4)
    return mark + pack("HI", 42, 8) + first + inside + note + b"\0" + second + thumb


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_goes_and_makers_notes_stay_where_they_are(order):
    before = with_thumbnail(order)
    assert exif_orientation(before) == 8
    after = updated_exif(before, 70000, 300)
    assert exif_orientation(after) == 1
    assert len(after) < len(before)
    assert b"\xff\xd8\xff" not in after
    assert after.index(b"secret offsets") == before.index(b"secret offsets")
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + after)
    assert exif.get_ifd(0x8769)[0xA002] == 70000, "what does not fit 16 bits becomes a LONG"
    assert not exif.get_ifd(1)


@pytest.mark.parametrize("broken", [b"", b"II", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff", b"nonsense" * 9])
def test_damaged_exif_is_left_out_with_a_warning(broken, tmp_path):
    with pytest.raises(DamagedExif):
        exif_orientation(broken)
    if broken:
        record = upscale_one(make_png(scene(3), 8, 2, before=chunk(b"eXIf", broken)), tmp_path, "a.png", format="jpg")
        assert record.error is None
        assert record.warnings == ["Its EXIF block is damaged and was left out."]


@pytest.mark.parametrize("form", FORMATS)
def test_xmp_is_kept_with_the_orientation_of_the_result(form, tmp_path):
    record = upscale_one(with_pillow(scene(3), "JPEG", xmp=XMP, quality=95), tmp_path, "a.jpg", format=form)
    found = (
        Image.open(record.output).info["xmp"]
        if form != "tiff"
        else tifffile.TiffFile(record.output).pages[0].tags[700].value
    )
    found = found.encode() if isinstance(found, str) else bytes(found)
    assert b"<dc:title>A title</dc:title>" in found
    assert b'tiff:Orientation="1"' in found
    assert f'tiff:ImageWidth="{4 * WIDTH}"'.encode() in found


def test_xmp_as_elements():
    other = b"<o:Orientation>8</o:Orientation>"
    before = b"<tiff:Orientation>8</tiff:Orientation><exif:PixelYDimension> 5 </exif:PixelYDimension>" + other
    after = b"<tiff:Orientation>1</tiff:Orientation><exif:PixelYDimension> 20 </exif:PixelYDimension>" + other
    assert updated_xmp(before, 40, 20) == after


def resolution(path: str) -> tuple[float, float]:
    return tuple(float(value) for value in Image.open(path).info["dpi"])  # type: ignore[return-value]


@pytest.mark.parametrize("source", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("form", ["png", "jpg", "tiff"])
def test_the_resolution_is_unchanged(source, form, tmp_path):
    record = upscale_one(with_pillow(scene(3), source, dpi=(300, 150)), tmp_path, f"a.{source.lower()}", format=form)
    assert resolution(record.output) == pytest.approx((300, 150), abs=0.02)


def test_gamma_text_and_time_pass_from_png_to_png(tmp_path):
    chunks = {
        b"gAMA": struct.pack(">I", 55555),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"tEXt": b"Title\0A title",
        b"zTXt": b"Long\0\0" + zlib.compress(b"x" * 500),
        b"iTXt": "Author\0\0\0de\0\0Jörg".encode(),
        b"tIME": bytes([7, 230, 1, 2, 3, 4, 5]),
    }
    before = b"".join(chunk(kind, content) for kind, content in chunks.items())
    record = upscale_one(make_png(scene(3), 8, 2, before=before), tmp_path, "a.png")
    assert record.warnings == []
    found = Path(record.output).read_bytes()
    for kind, content in chunks.items():
        assert found.count(chunk(kind, content)) == 1
    assert found.index(b"gAMA") < found.index(b"IDAT")


@pytest.mark.parametrize("form", ["jpg", "webp", "tiff", "avif"])
def test_what_a_format_has_no_place_for_is_said(form, tmp_path):
    before = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"tEXt", b"Title\0A title")
    record = upscale_one(make_png(scene(3), 8, 2, before=before), tmp_path, "a.png", format=form)
    assert len(record.warnings) == 1
    assert "text chunks" in record.warnings[0]
    assert "gamma" in record.warnings[0]


def test_comments_and_iptc_of_jpeg(tmp_path):
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x05\0\x03abc"
    extra = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    data = with_pillow(scene(3), "JPEG", comment="from Zürich", extra=extra)
    record = upscale_one(data, tmp_path, "a.jpg")
    assert record.warnings == []
    with Image.open(record.output) as found:
        assert found.info["comment"].decode() == "from Zürich"
        assert dict(found.applist)["APP13"] == iptc
    record = upscale_one(data, tmp_path, "b.jpg", format="png")
    assert Image.open(record.output).text["Comment"] == "from Zürich"
    assert "IPTC" in record.warnings[0]


def test_no_dark_rim_around_what_is_visible(tmp_path):
    """A red disc whose surroundings are transparent black: no visible pixel of the result darkens."""
    y, x = np.mgrid[0:40, 0:40]
    inside = (x - 20) ** 2 + (y - 20) ** 2 < 150
    image = np.where(inside[:, :, None], np.array([220, 30, 30, 255]), 0).astype(np.uint8)
    from gramgan_cli.engines.upscale_files import open_machine

    record = upscale_one(with_pillow(image, "PNG"), tmp_path, "a.png", machine=open_machine("lanczos", "cpu", None))
    found = decoded(Path(record.output))
    visible = found[:, :, 3] > 0
    assert np.array_equal(np.unique(found[visible][:, :3], axis=0), [[220, 30, 30]])


def test_16_bit_values_outside_srgb_stay_bit_for_bit_with_their_profile(tmp_path):
    data = with_tifffile(scene(3, np.uint16), extratags=[(34675, 7, len(ADOBE_RGB), ADOBE_RGB, True)])
    record = upscale_one(data, tmp_path, "a.tif")
    assert np.array_equal(decoded(Path(record.output))[::4, ::4], scene(3, np.uint16))
    assert Image.open(record.output).info["icc_profile"] == ADOBE_RGB


def test_a_cmyk_photo_with_a_profile_goes_through_it(tmp_path):
    """An ink profile is too large to make here; a wrong one must not stop the picture."""
    image = Image.fromarray(np.full((8, 8, 4), 90, np.uint8), "CMYK")
    record = upscale_one(with_pillow(image, "JPEG", icc_profile=b"no profile"), tmp_path, "a.jpg")
    assert record.error is None
    with Image.open(record.output) as found:
        assert found.mode == "RGB"
        profile = ImageCms.ImageCmsProfile(io.BytesIO(found.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
