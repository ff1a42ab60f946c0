"""Metadata that must change with the picture's size or orientation."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from photo_corpus import HEIGHT, WIDTH, scene, with_pillow, with_tifffile
from photo_parts import XMP
from PIL import Image
from test_lost_parts import comments, plain_jpeg, segment
from test_xmp import packet, xmp_of
from upscale_helpers import decoded, session_of, upscale, upscale_one

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.metadata.xmp import updated_xmp
from gramgan_cli.core.images.read import open_photo

TIFF, EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
PANORAMA = "http://ns.google.com/photos/1.0/panorama/"


def test_properties_are_known_by_their_namespace_not_by_its_prefix():
    before = packet(
        'a:ImageWidth="10" b:PixelXDimension="10" c:FullPanoWidthPixels="30" a:Orientation="6"',
        '<b:PixelYDimension xml:lang="x">20</b:PixelYDimension><c:CroppedAreaTopPixels>7</c:CroppedAreaTopPixels>',
        a=TIFF,
        b=EXIF,
        c=PANORAMA,
    )
    after = updated_xmp(before, 40, 80, (4.0, 4.0))
    for part in (b'a:ImageWidth="40"', b'b:PixelXDimension="40"', b'c:FullPanoWidthPixels="120"', b'a:Orientation="1"'):
        assert part in after
    assert b">80</b:PixelYDimension>" in after
    assert b">28</c:CroppedAreaTopPixels>" in after


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le"])
def test_a_packet_of_another_encoding_follows_too(encoding, tmp_path):
    text = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>' + XMP.decode() + '<?xpacket end="w"?>'
    result = upscale_one(with_pillow(scene(3), "JPEG", xmp=text.encode(encoding)), tmp_path, "a.jpg")
    found = xmp_of(result.output).decode("utf-8")
    assert f'tiff:ImageWidth="{4 * WIDTH}"' in found
    assert "A title" in found


def test_regions_in_pixels_follow_and_relative_ones_stay():
    def region(unit: str) -> bytes:
        boundary = (
            f'<I:RegionBoundary I:rbShape="rectangle" I:rbUnit="{unit}" I:rbX="2" I:rbY="3"><I:rbW>5</I:rbW>'
            "<I:rbH>6</I:rbH></I:RegionBoundary>"
        )
        return packet("", boundary, I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/")

    after = updated_xmp(region("pixel"), 40, 60, (4.0, 3.0))
    for part in (b'rbX="8"', b'rbY="9"', b"<I:rbW>20<", b"<I:rbH>18<"):
        assert part in after
    assert updated_xmp(region("relative"), 40, 60, (4.0, 3.0)) == region("relative")


def exif_with_pixels(orientation: int, x: int, y: int, order: str = "<") -> bytes:
    """EXIF with all values in pixels: subject, sensor resolution, related picture."""

    def pack(codes: str, *values: int) -> bytes:
        return struct.pack(order + codes, *values)

    exif_at = 8 + 2 + 2 * 12 + 4
    interop_at = exif_at + 2 + 5 * 12 + 4
    values_at = interop_at + 2 + 2 * 12 + 4
    first = pack("H", 2) + pack("HHIHH", 0x0112, 3, 1, orientation, 0) + pack("HHII", 0x8769, 4, 1, exif_at) + bytes(4)
    inside = pack("H", 5) + pack("HHII", 0x9214, 3, 4, values_at) + pack("HHII", 0xA005, 4, 1, interop_at)
    inside += pack("HHII", 0xA20E, 5, 1, values_at + 8) + pack("HHII", 0xA20F, 5, 1, values_at + 16)
    inside += pack("HHIHH", 0xA214, 3, 2, x, y) + bytes(4)
    interop = pack("H", 2) + pack("HHII", 0x1001, 4, 1, WIDTH) + pack("HHII", 0x1002, 4, 1, HEIGHT) + bytes(4)
    values = pack("HHHH", x, y, 6, 4) + pack("IIII", 4000, 3, 4000, 3)
    return {"<": b"II", ">": b"MM"}[order] + pack("HI", 42, 8) + first + inside + interop + values


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_subject_is_where_the_picture_shows_it(orientation, order, tmp_path):
    """A white square at the subject's position, in each orientation."""
    x, y = 9, 6
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[y - 1 : y + 1, x - 1 : x + 1] = 255
    exif = exif_with_pixels(orientation, x, y, order)
    listed = "".join(f"<rdf:li>{value}</rdf:li>" for value in (x, y))
    xmp = packet("", f"<e:SubjectLocation><rdf:Seq>{listed}</rdf:Seq></e:SubjectLocation>", e=EXIF)
    png = with_pillow(image, "PNG", exif=exif)
    photo = with_pillow(Image.open(io.BytesIO(png)), "WEBP", lossless=True, exif=exif, xmp=xmp)
    result = upscale_one(photo, tmp_path, "a.webp")
    shown = decoded(Path(result.output))
    rows, columns = np.nonzero(shown[:, :, 0] > 128)
    with Image.open(result.output) as opened:
        inside = opened.getexif().get_ifd(0x8769)
        related = opened.getexif().get_ifd(0xA005)
        text = opened.info["xmp"].decode()
    centre = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    assert inside[0xA214] == centre
    assert inside[0x9214] == (*centre, *((24, 16) if orientation < 5 else (16, 24)))
    assert "".join(f"<rdf:li>{round(value)}</rdf:li>" for value in centre) in text
    assert float(inside[0xA20E]) == float(inside[0xA20F]) == pytest.approx(4 * 4000 / 3)
    assert (related[0x1001], related[0x1002]) == (shown.shape[1], shown.shape[0])


@pytest.mark.parametrize("form", ["tiff", "png"])
def test_pixels_per_micrometre_of_imagej_follow_the_picture(form, tmp_path):
    written = io.BytesIO()
    options = {"imagej": True, "resolution": (2.5, 2.5), "metadata": {"unit": "um"}}
    tifffile.imwrite(written, scene(1, np.uint16)[:, :, 0], **options)
    data = written.getvalue()
    result = upscale_one(data, tmp_path, "a.tif", format=form)
    with Image.open(result.output) as image:
        assert float(image.getexif()[0x011A]) == 10.0
        assert float(image.getexif()[0x011B]) == 10.0
    assert Path(upscale_one(data, tmp_path, "b.tif").output).suffix == ".tif", "the unit has a place in TIFF"


def test_an_orientation_in_the_xmp_of_a_tiff_alone_is_left_as_it_is(tmp_path):
    stored = scene(3)
    data = with_tifffile(stored, photometric="rgb", extratags=[(700, 1, len(XMP), XMP, True)])
    result = upscale_one(data, tmp_path, "a.tif", format="tiff")
    assert (decoded(Path(result.output)) == np.kron(stored, np.ones((4, 4, 1), np.uint8))).all()
    assert b'tiff:Orientation="6"' in xmp_of(result.output)


def test_a_volume_is_refused_by_name():
    data = with_tifffile(np.zeros((4, 32, 32), np.uint8), photometric="minisblack", volumetric=True, tile=(4, 16, 16))
    with pytest.raises(GramganError, match="a volume"):
        open_photo(data, "x")


@pytest.mark.parametrize("model", ["bicubic", "clean"])
@pytest.mark.parametrize(
    ("dtype", "channels", "value", "nodata"),
    [(np.uint8, 1, 100, 0), (np.uint8, 3, 100, 255), (np.uint16, 1, 1000, 65535), (np.uint16, 1, 30000, 0)],
)
def test_no_data_among_integers_stays_apart(dtype, channels, value, nodata, model, tmp_path):
    image = np.full((24, 24, channels), value, dtype)
    image[8:12, 4:9] = nodata
    image[20, 20, 0] = nodata if channels > 1 else value  # a single channel with that value is valid data
    declared = [(42113, 2, 0, str(nodata), True)]
    data = with_tifffile(image if channels > 1 else image[:, :, 0], extratags=declared)
    (tmp_path / "a.tif").write_bytes(data)
    (result,) = upscale([tmp_path / "a.tif"], session=session_of(model))
    assert any("no data" in warning for warning in result.warnings)
    found = tifffile.imread(result.output).reshape(96, 96, channels).astype(int)
    assert (found[32:48, 16:36] == nodata).all()
    far = found[:16]
    near = found[30:32, 16:36]  # next to the gap: not affected by its value
    spread = 1 if model == "bicubic" else max(3, 0.5 * value)
    assert np.abs(far - value).max() <= spread
    assert np.abs(near - value).max() <= spread


def test_no_data_follows_where_samples_are_reduced(tmp_path):
    image = np.full((16, 16), 2**31, np.uint32)
    image[4:8, 4:8] = 2**32 - 1
    data = with_tifffile(image, extratags=[(42113, 2, 0, str(2**32 - 1), True)])
    result = upscale_one(data, tmp_path, "a.tif")
    with tifffile.TiffFile(result.output) as file:
        assert file.pages[0].tags[42113].value == "65535"
        assert (file.asarray()[16:32, 16:32] == 65535).all()


def test_comments_keep_their_order(tmp_path):
    data = plain_jpeg()
    data = data[:2] + segment(0xFE, b"one") + segment(0xFE, b"two") + segment(0xFE, b"three") + data[2:]
    result = upscale_one(data, tmp_path, "a.jpg")
    assert comments(Path(result.output).read_bytes()) == [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    "brand", [b"ftyp3gp4", b"ftyphevc", b"ftypmp41", b"ftypMSNV", b"moov\0\0\0\0", b"wide\0\0\0\0"]
)
def test_a_video_of_any_brand_is_named(brand, tmp_path):
    result = upscale_one(plain_jpeg() + b"\0\0\0\x18" + brand + bytes(64), tmp_path, "a.jpg")
    assert any("the video" in warning for warning in result.warnings)


def test_a_second_packet_of_xmp_is_named(tmp_path):
    data = plain_jpeg()
    body = b"http://ns.adobe.com/xap/1.0/\0" + XMP
    result = upscale_one(data[:2] + segment(0xE1, body) + segment(0xE1, body) + data[2:], tmp_path, "a.jpg")
    assert any("second XMP" in warning for warning in result.warnings)


@pytest.mark.parametrize("part", [0.03, 0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM", "AVIF", "TIFF"])
def test_the_hint_for_cut_off_files_is_given_where_it_helps(form, part):
    data = with_pillow(scene(3, np.uint8, 180, 240), form)  # so large that 1 % is more than the last marker
    cut = data[: int(len(data) * part)]
    try:
        list(open_photo(cut, "x", allow_truncated=True).decode())
        helps = True
    except GramganError:
        helps = False
    with pytest.raises(GramganError) as caught:
        list(open_photo(cut, "x").decode())
    assert ("`allow_truncated`" in str(caught.value)) == helps
