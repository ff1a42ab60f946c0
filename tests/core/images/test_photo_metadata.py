"""Metadata: profiles, EXIF, XMP, resolution, text."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from photo_corpus import HEIGHT, WIDTH, chunk, exif_with, make_png, scene, with_pillow, with_tifffile
from photo_parts import ADOBE_RGB, DISPLAY_P3, XMP, rgb_profile, with_thumbnail
from PIL import Image, ImageCms
from upscale_helpers import decoded, upscale_one

from gramgan_cli.core.images.metadata.exif import DamagedExif, exif_orientation, updated_exif, with_resolution

FORMATS = ["png", "jpg", "webp", "tiff", "avif"]


def as_seen(image: Image.Image) -> np.ndarray:
    """The picture in sRGB by its own profile, as a colour-managed viewer shows it."""
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


def _with_interoperability() -> bytes:
    """A camera's EXIF: date, and the interoperability directory below it."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0xA005: {1: "R98", 2: b"0100"}})
    return exif.tobytes()


@pytest.mark.parametrize("form", ["png", "jpg", "tiff"])
def test_a_camera_s_exif_survives_a_tiff(form, tmp_path):
    between = upscale_one(
        with_pillow(scene(3), "JPEG", exif=_with_interoperability()), tmp_path, "a.jpg", format="tiff"
    )
    record = upscale_one(Path(between.output).read_bytes(), tmp_path, "b.tif", format=form)
    assert between.warnings == record.warnings == []
    exif = Image.open(record.output).getexif()
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    assert exif.get_ifd(0xA005) == {1: "R98", 2: b"0100"}


def test_an_offset_to_an_interoperability_directory_that_moved_is_ignored(tmp_path):
    """As Pillow leaves it in TIFF files: it copies the number, but not the directory."""
    record = upscale_one(with_pillow(scene(3), "TIFF", exif=_with_interoperability()), tmp_path, "a.tif", format="jpg")
    assert record.warnings == []
    assert Image.open(record.output).getexif().get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    block = bytearray(_with_interoperability().removeprefix(b"Exif\0\0"))
    order = "<" if block.startswith(b"II") else ">"
    at = block.index(struct.pack(order + "HHI", 0xA005, 4, 1)) + 8
    block[at : at + 4] = struct.pack(order + "I", 2**31)
    assert exif_orientation(updated_exif(bytes(block), 9, 9)) == 1


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


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_page_of_a_tiff_keeps_what_is_its_own(order, tmp_path):
    """A grey page at 300 dpi without a profile, then one in colour with a profile, at 72 dpi, with a description."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:
        writer.write(scene(1)[:, :, 0], metadata=None, photometric="minisblack", resolution=(300, 300))
        second = {"resolution": (72, 72), "iccprofile": DISPLAY_P3, "description": "page two"}
        writer.write(scene(3), metadata=None, photometric="rgb", **second)
    record = upscale_one(file.getvalue(), tmp_path, "a.tif")
    assert record.error is None
    assert record.warnings == []
    with tifffile.TiffFile(record.output) as found:
        first, second = ({tag.code: tag.value for tag in page.tags} for page in found.pages)
    assert [page[282][0] / page[282][1] for page in (first, second)] == [300, 72]
    assert 34675 not in first
    assert second[34675] == DISPLAY_P3
    assert 270 not in first
    assert second[270] == "page two"


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
    assert order == "<" or _second_directory(after) == 0 < _second_directory(before)


@pytest.mark.parametrize("broken", [b"", b"II", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff", b"nonsense" * 9])
def test_damaged_exif_is_left_out_with_a_warning(broken, tmp_path):
    with pytest.raises(DamagedExif):
        exif_orientation(broken)
    if broken:
        record = upscale_one(make_png(scene(3), 8, 2, before=chunk(b"eXIf", broken)), tmp_path, "a.png", format="jpg")
        assert record.error is None
        assert record.warnings == ["Its EXIF block is damaged and was left out."]


@pytest.mark.parametrize("form", FORMATS)
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
def test_metadata_that_a_format_can_not_hold_is_reported(form, tmp_path):
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


def test_a_comment_that_is_not_utf_8_keeps_its_letters(tmp_path):
    data = with_pillow(scene(3), "JPEG", comment="café © José".encode("latin-1"))
    record = upscale_one(data, tmp_path, "a.jpg")
    with Image.open(record.output) as found:
        assert found.info["comment"].decode() == "café © José"


def test_no_dark_rim_around_what_is_visible(tmp_path):
    """A red disc on transparent black: no visible pixel of the result is darker."""
    y, x = np.mgrid[0:40, 0:40]
    inside = (x - 20) ** 2 + (y - 20) ** 2 < 150
    image = np.where(inside[:, :, None], np.array([220, 30, 30, 255]), 0).astype(np.uint8)
    from upscale_helpers import session_of

    record = upscale_one(with_pillow(image, "PNG"), tmp_path, "a.png", session=session_of("lanczos"))
    found = decoded(Path(record.output))
    visible = found[:, :, 3] > 0
    assert np.array_equal(np.unique(found[visible][:, :3], axis=0), [[220, 30, 30]])


def test_16_bit_values_outside_srgb_stay_bit_for_bit_with_their_profile(tmp_path):
    data = with_tifffile(scene(3, np.uint16), extratags=[(34675, 7, len(ADOBE_RGB), ADOBE_RGB, True)])
    record = upscale_one(data, tmp_path, "a.tif")
    assert np.array_equal(decoded(Path(record.output))[::4, ::4], scene(3, np.uint16))
    assert Image.open(record.output).info["icc_profile"] == ADOBE_RGB


def test_a_cmyk_photo_with_an_invalid_profile_becomes_srgb(tmp_path):
    """A real CMYK profile is too large to make here; an invalid one must not stop the picture."""
    image = Image.fromarray(np.full((8, 8, 4), 90, np.uint8), "CMYK")
    record = upscale_one(with_pillow(image, "JPEG", icc_profile=b"no profile"), tmp_path, "a.jpg")
    assert record.error is None
    with Image.open(record.output) as found:
        assert found.mode == "RGB"
        profile = ImageCms.ImageCmsProfile(io.BytesIO(found.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_a_lossless_webp_stays_lossless_with_a_large_profile(tmp_path):
    profile = rgb_profile("x" * 9000, [(0.5, 0.2, 0.0), (0.3, 0.7, 0.1), (0.2, 0.1, 0.7)], 2.2)
    data = with_pillow(scene(3), "WEBP", lossless=True, icc_profile=profile)
    record = upscale_one(data, tmp_path, "a.webp")
    assert np.array_equal(decoded(Path(record.output))[::4, ::4], scene(3))
    moving = with_pillow(
        scene(3), "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(255 - scene(3))]
    )
    record = upscale_one(moving, tmp_path, "b.webp")
    assert np.array_equal(decoded(Path(record.output))[::4, ::4, :3], scene(3))


def test_a_quality_makes_webp_lossy(tmp_path):
    data = with_pillow(scene(3, height=60, width=80), "PNG")
    sizes = []
    for quality in (None, 90, 20):
        record = upscale_one(data, tmp_path, "a.png", format="webp", quality=quality, overwrite=True)
        sizes.append(Path(record.output).stat().st_size)
        exact = np.array_equal(decoded(Path(record.output))[::4, ::4], scene(3, height=60, width=80))
        assert exact == (quality is None)
    assert sizes[2] < sizes[1]


def grey_profile(gamma: float) -> bytes:
    """A grey ICC profile (v2): a white point and a curve."""
    made = bytearray(rgb_profile("Grey", [(0, 0, 0)] * 3, gamma))
    made[16:20] = b"GRAY"
    at = made.index(b"rTRC")
    made[at : at + 4] = b"kTRC"
    return bytes(made)


@pytest.mark.parametrize("form", FORMATS)
def test_a_grey_photo_with_a_profile_of_grey_looks_the_same_in_every_format(form, tmp_path):
    """WebP and AVIF have no grey, so the profile must be converted to three channels there."""
    data = with_pillow(scene(1), "PNG", icc_profile=grey_profile(1.5))
    record = upscale_one(data, tmp_path, "a.png", format=form)
    assert record.warnings == []
    srgb = ImageCms.createProfile("sRGB")

    def seen(image: Image.Image) -> np.ndarray:
        profile = io.BytesIO(image.info["icc_profile"])
        return np.asarray(ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")).astype(float)

    with Image.open(record.output) as found, Image.open(tmp_path / "a.png") as before:
        assert found.mode == ("RGB" if form in ("webp", "avif") else "L")
        assert np.abs(seen(found)[::4, ::4] - seen(before)).max() <= 6
        assert np.abs(seen(before)[:, :, 0] - np.asarray(before)).max() > 20, "the profile matters"


@pytest.mark.parametrize("form", ["webp", "avif"])
@pytest.mark.parametrize("source", ["PNG", "JPEG with EXIF"])
def test_formats_without_a_place_for_the_resolution_keep_it_in_exif(form, source, tmp_path):
    if source == "PNG":
        record = upscale_one(with_pillow(scene(3), "PNG", dpi=(300, 150)), tmp_path, "a.png", format=form)
    else:
        data = with_pillow(scene(3), "JPEG", dpi=(300, 150), exif=exif_with(6))
        record = upscale_one(data, tmp_path, "a.jpg", format=form)
    assert record.warnings == []
    exif = Image.open(record.output).getexif()
    assert (float(exif[282]), float(exif[283]), exif[296]) == pytest.approx((300, 150, 2), abs=0.02)
    if source != "PNG":
        assert exif[0x010F] == "Maker"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"


def _second_directory(exif: bytes) -> int:
    """Offset of the second directory of a big-endian EXIF block."""
    at = struct.unpack_from(">I", exif, 4)[0]
    return struct.unpack_from(">I", exif, at + 2 + 12 * struct.unpack_from(">H", exif, at)[0])[0]


def test_a_resolution_leaves_makers_notes_where_they_are():
    before = with_thumbnail(">")
    after = with_resolution(before, (240.0, 120.0))
    assert after.index(b"secret offsets") == before.index(b"secret offsets")
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + after)
    assert (float(exif[282]), float(exif[283]), exif[274]) == (240, 120, 8)
    assert _second_directory(after) == _second_directory(before) > 0
    assert with_resolution(after, (1.5, 2.5)) == after, "a resolution that is there stays"


def test_colours_that_avif_describes_by_numbers_go_along_to_png(tmp_path):
    data = imagecodecs.avif_encode(scene(3), level=100, primaries=12, transfer=13)
    record = upscale_one(data, tmp_path, "a.avif", format="png")
    assert record.warnings == []
    assert chunk(b"cICP", bytes([12, 13, 0, 1])) in Path(record.output).read_bytes()
    record = upscale_one(data, tmp_path, "a.avif", format="jpg")
    assert "colours" in record.warnings[0]
    plain = imagecodecs.avif_encode(scene(3), level=100, primaries=1, transfer=13)
    assert upscale_one(plain, tmp_path, "b.avif", format="jpg").warnings == []


def test_the_proportions_of_pixels_pass_from_png_to_png(tmp_path):
    shape = chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0))
    record = upscale_one(make_png(scene(3), 8, 2, before=shape), tmp_path, "a.png")
    assert Path(record.output).read_bytes().count(shape) == 1


@pytest.mark.parametrize(("text", "lost"), [(b"Title\0A title", True), (b"Comment\0A comment", False)])
def test_a_lost_text_chunk_gives_a_warning(text, lost, tmp_path):
    record = upscale_one(make_png(scene(3), 8, 2, before=chunk(b"tEXt", text)), tmp_path, "a.png", format="jpg")
    assert any("text chunks" in warning for warning in record.warnings) == lost
    assert (Image.open(record.output).info.get("comment") == b"A comment") != lost


def test_all_that_jpeg_spreads_over_segments_goes_along(tmp_path):
    bodies = [
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 5, 0) + b"<xml>"),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x05\0\x03abc"),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x22\0\0\0\0\0\x02xy"),
    ]
    extra = b"".join(struct.pack(">BBH", 255, marker, len(body) + 2) + body for marker, body in bodies)
    data = with_pillow(scene(3), "JPEG", extra=extra, xmp=XMP)
    record = upscale_one(data, tmp_path, "a.jpg")
    assert record.warnings == []
    found = Path(record.output).read_bytes()
    for _, body in bodies:
        assert found.count(body) == 1
    record = upscale_one(data, tmp_path, "a.jpg", format="webp")
    assert "IPTC" in record.warnings[0]
    assert "extended XMP" in record.warnings[0]


def test_other_pictures_inside_a_photo_are_named(tmp_path):
    file = io.BytesIO()
    Image.fromarray(scene(3)).save(file, "MPO", save_all=True, append_images=[Image.fromarray(255 - scene(3))])
    record = upscale_one(file.getvalue(), tmp_path, "a.jpg")
    assert record.warnings == ["The file contains 2 images: only the main one was enlarged."]
    assert Path(record.output).name == "a_x4.jpg"


def test_avif_keeps_exif_byte_for_byte_but_for_the_orientation(tmp_path):
    """Rewriting it would damage makers' notes and non-ASCII text."""
    block = with_thumbnail("<").replace(b"secret offsets 0123", "Jörg Müller 01".encode() + b"234")
    record = upscale_one(with_pillow(scene(3), "JPEG", exif=b"Exif\0\0" + block), tmp_path, "a.jpg", format="avif")
    found = Image.open(record.output).info["exif"]
    note = "Jörg Müller".encode()
    assert found.index(note) == block.index(note)
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + found)
    assert 0x0112 not in exif
    assert exif.get_ifd(0x8769)[0xA002] == record.output_size[0]


def test_a_comment_that_is_too_long_for_jpeg_is_left_out(tmp_path):
    text = chunk(b"tEXt", b"Comment\0" + b"x" * 70000)
    record = upscale_one(make_png(scene(3), 8, 2, before=text), tmp_path, "a.png", format="jpg")
    assert record.error is None
    assert "longer than JPEG allows" in record.warnings[0]
