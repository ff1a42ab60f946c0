"""Parts of a file besides its picture are kept or named in a warning."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from photo_corpus import HEIGHT, WIDTH, chunk, make_png, scene, with_pillow, with_tifffile
from photo_parts import DISPLAY_P3, make_apng
from PIL import Image, ImageCms
from upscale_helpers import decoded, upscale_one

from gramgan_cli.core.images.formats.gif import open_gif
from gramgan_cli.core.images.read import open_photo


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, len(body) + 2) + body


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def plain_jpeg(**options: object) -> bytes:
    return with_pillow(scene(3), "JPEG", **options)


VIDEO = box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"mdat", bytes(900))
MANIFEST = b"JP\0\1\0\0\0\1" + box(b"jumb", box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0"))
ULTRA_HDR = b'<x:xmpmeta xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'

BESIDE_JPEG = {
    "motion photo": (lambda: plain_jpeg() + VIDEO, "the video"),
    "Samsung's trailer": (lambda: plain_jpeg() + b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + VIDEO, "the video"),
    "gain map": (lambda: plain_jpeg(xmp=ULTRA_HDR) + plain_jpeg(), "the gain map"),
    "gain map of ISO 21496": (
        lambda: plain_jpeg(extra=segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0")),
        "the gain map",
    ),
    "manifest": (lambda: plain_jpeg(extra=segment(0xEB, MANIFEST)), "the C2PA manifest"),
    "a second picture": (lambda: plain_jpeg() + plain_jpeg(), "1 more image after its end"),
    "something behind": (lambda: plain_jpeg() + b"depth-map-of-my-own", "19 bytes after its end"),
    "a private block": (lambda: plain_jpeg(extra=segment(0xE9, b"mine")), "the block APP9"),
}


@pytest.mark.parametrize("what", sorted(BESIDE_JPEG))
def test_what_lies_beside_a_jpeg_is_named(what, tmp_path):
    make, message = BESIDE_JPEG[what]
    record = upscale_one(make(), tmp_path, "a.jpg")
    assert record.error is None
    assert len(record.warnings) == 1
    assert message in record.warnings[0]


def test_an_ordinary_jpeg_gives_no_warning(tmp_path):
    data = plain_jpeg(comment="one", icc_profile=DISPLAY_P3, dpi=(300, 300), exif=Image.Exif().tobytes())
    assert upscale_one(data + bytes(12), tmp_path, "a.jpg").warnings == []


def comments(file: bytes) -> list[bytes]:
    """Contents of the COM segments before the coded data."""
    at, found = 2, []
    while file[at + 1] != 0xDA:
        length = int.from_bytes(file[at + 2 : at + 4], "big")
        if file[at + 1] == 0xFE:
            found.append(file[at + 4 : at + 2 + length])
        at += 2 + length
    return found


def test_every_comment_of_a_jpeg_is_kept_or_named(tmp_path):
    data = plain_jpeg()
    data = data[:20] + segment(0xFE, b"first") + segment(0xFE, b"second") + segment(0xFE, b"third") + data[20:]
    record = upscale_one(data, tmp_path, "a.jpg")
    assert record.warnings == []
    assert sorted(comments(Path(record.output).read_bytes())) == [b"first", b"second", b"third"]
    record = upscale_one(data, tmp_path, "a.jpg", format="png")
    assert Image.open(record.output).text["Comment"] == "first"
    assert "other comments" in record.warnings[0]


def with_aspect(data: bytes, x: int, y: int) -> bytes:
    """A JPEG with JFIF densities without a unit."""
    assert data[6:11] == b"JFIF\0"
    return data[:13] + struct.pack(">BHH", 0, x, y) + data[18:]


@pytest.mark.parametrize("form", ["jpg", "png", "tiff", "webp", "avif"])
def test_pixels_that_are_not_square_stay_so_or_are_named(form, tmp_path):
    record = upscale_one(with_aspect(plain_jpeg(), 2, 1), tmp_path, "a.jpg", format=form)
    found = Path(record.output).read_bytes()
    if form in ("webp", "avif"):
        assert "not square" in record.warnings[0]
        return
    assert record.warnings == []
    if form == "jpg":
        assert found[13:18] == struct.pack(">BHH", 0, 2, 1)
    elif form == "png":
        assert chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)) in found
    else:
        tags = tifffile.TiffFile(record.output).pages[0].tags
        assert (tags[296].value, tags[282].value, tags[283].value) == (1, (2, 1), (1, 1))
    assert open_photo(found, "x").metadata.pixel_aspect == (2, 1)


@pytest.mark.parametrize(
    "behind", [b"depth-map-of-my-own", make_png(scene(3), 8, 2), bytes(3) + make_png(scene(3), 8, 2)]
)
def test_what_lies_behind_the_end_of_a_png_is_named(behind, tmp_path):
    record = upscale_one(make_png(scene(3), 8, 2) + behind, tmp_path, "a.png")
    assert record.warnings == [f"Left out of the result: {len(behind)} bytes after its end."]


def apng_with_still() -> bytes:
    return make_apng([(255 - scene(3), 0, 0, 0, 0)], 8, 2, [(1, 10)], still=True)


def test_the_frame_that_browsers_show_is_the_picture(tmp_path):
    record = upscale_one(apng_with_still(), tmp_path, "a.png")
    assert "still image" in record.warnings[0]
    with Image.open(record.output) as found:
        assert np.array_equal(np.asarray(found.convert("RGB"))[::4, ::4], 255 - scene(3))


@pytest.mark.parametrize(
    ("kind", "kept"),
    [(b"prVt", True), (b"prVT", False), (b"caBX", False), (b"bKGD", True), (b"sCAL", False), (b"sBIT", None)],
)
def test_private_chunks_of_png_are_kept_where_the_standard_allows_it(kind, kept, tmp_path):
    """A lower-case fourth letter marks a chunk as safe to copy after any change (PNG 3rd edition, 14.2)."""
    content = b"\x08\x08\x08" if kind == b"sBIT" else bytes(6)
    data = make_png(scene(3), 8, 2, before=chunk(kind, content))
    record = upscale_one(data, tmp_path, "a.png")
    assert (chunk(kind, content) in Path(record.output).read_bytes()) == bool(kept)
    assert (record.warnings == []) == (kept is not False)
    if kept:
        record = upscale_one(data, tmp_path, "a.png", format="webp")
        assert kind.decode() in record.warnings[0]


def test_the_background_colour_is_that_of_the_result(tmp_path):
    """A palette index becomes its colour, 4-bit grey becomes 8-bit."""
    palette = bytes(range(48))
    indices = scene(1).astype(int) * 16 // 256
    before = chunk(b"PLTE", palette) + chunk(b"bKGD", b"\5")
    record = upscale_one(make_png(indices, 4, 3, before=before), tmp_path, "a.png")
    assert chunk(b"bKGD", bytes([0, 15, 0, 16, 0, 17])) in Path(record.output).read_bytes()
    record = upscale_one(make_png(indices, 4, 0, before=chunk(b"bKGD", b"\0\7")), tmp_path, "b.png")
    assert chunk(b"bKGD", bytes([0, 7 * 17])) in Path(record.output).read_bytes()


def test_a_wrong_checksum_of_a_chunk_that_is_no_part_of_the_picture(tmp_path):
    broken = bytearray(chunk(b"tEXt", b"Title\0A title"))
    broken[-1] ^= 1
    record = upscale_one(make_png(scene(3), 8, 2, before=bytes(broken)), tmp_path, "a.png")
    assert record.warnings == ["The checksum of its chunk tEXt is wrong, so the chunk was left out."]
    assert np.array_equal(decoded(Path(record.output))[::4, ::4], scene(3))
    broken = bytearray(chunk(b"tRNS", bytes(6)))
    broken[-1] ^= 1
    record = upscale_one(make_png(scene(3), 8, 2, before=bytes(broken)), tmp_path, "b.png")
    assert "checksum" in record.error, "another picture would be seen without it"


def gif_with(extension: bytes) -> bytes:
    """A GIF with an extension after its colour table."""
    data = with_pillow(Image.fromarray(scene(3)).quantize(64), "GIF")
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:at] + extension + data[at:]


def test_xmp_of_a_gif_is_kept(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:title>A title</dc:title></x:xmpmeta>'
    trailer = bytes([1, *range(255, -1, -1), 0])
    record = upscale_one(gif_with(b"\x21\xff\x0bXMP DataXMP" + xmp + trailer), tmp_path, "a.gif")
    assert record.warnings == []
    assert Image.open(record.output).info["xmp"] == xmp


def test_other_extensions_of_a_gif_are_named():
    photo = open_gif(gif_with(b"\x21\xff\x0bPRIVATE 1.0\x03abc\0"), "x", False)
    assert "'PRIVATE 1.0'" in photo.warnings[0]
    photo = open_gif(gif_with(b"\x21\x01\x0c" + bytes(12) + b"\x02hi\0"), "x", False)
    assert "text to be drawn" in photo.warnings[0]


def test_a_private_chunk_of_webp_is_named(tmp_path):
    data = with_pillow(scene(3), "WEBP", lossless=True, exif=Image.Exif().tobytes() or b"II*\0\x08\0\0\0\0\0")
    data = data + b"MINE" + struct.pack("<I", 4) + b"abcd"
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert "'MINE'" in upscale_one(data, tmp_path, "a.webp").warnings[0]


@pytest.mark.parametrize("magic", [b"P6", b"P5", b"P4"])
def test_every_picture_of_a_netpbm_file_is_kept(magic, tmp_path):
    pictures = [scene(3 if magic == b"P6" else 1), 255 - scene(3 if magic == b"P6" else 1)]
    data = b""
    for picture in pictures:
        size = b"%d %d\n" % (WIDTH, HEIGHT)
        if magic == b"P4":
            data += magic + b"\n" + size + np.packbits(picture[:, :, 0] < 128, axis=1).tobytes()
        else:
            data += magic + b"\n" + size + b"255\n" + picture.tobytes()
    record = upscale_one(data, tmp_path, "a.ppm")
    assert record.frames == 2
    with tifffile.TiffFile(record.output) as found:
        for page, picture in zip(found.pages, pictures, strict=True):
            expected = np.where(picture < 128, 0, 255) if magic == b"P4" else picture
            assert np.array_equal(page.asarray()[::4, ::4].reshape(picture.shape), expected)


@pytest.mark.parametrize(("channels", "profile"), [(1, DISPLAY_P3), (3, None)])
def test_a_profile_that_does_not_fit_the_colours_reaches_no_png(channels, profile, tmp_path):
    grey = bytearray(DISPLAY_P3)
    grey[16:20] = b"GRAY"
    data = with_tifffile(
        scene(channels)[:, :, 0] if channels == 1 else scene(3),
        extratags=[(34675, 7, len(grey), profile or bytes(grey), True)],
    )
    record = upscale_one(data, tmp_path, "a.tif")
    assert len(record.warnings) == 1
    assert "ICC profile" in record.warnings[0]
    with Image.open(record.output) as found:
        icc = found.info.get("icc_profile")
        assert np.array_equal(np.asarray(found)[::4, ::4].reshape(scene(channels).shape), scene(channels))
    if icc is not None:
        assert icc[16:20] == (b"GRAY" if channels == 1 else b"RGB ")
        ImageCms.ImageCmsProfile(io.BytesIO(icc))


def test_layers_and_private_tags_of_a_tiff_are_named(tmp_path):
    data = with_tifffile(scene(3), extratags=[(37724, 7, 4, b"8BIM", True), (65000, 3, 1, 7, True)])
    message = upscale_one(data, tmp_path, "a.tif").warnings[0]
    assert "layers" in message
    assert "65000" in message


@pytest.mark.parametrize(("subfile", "message"), [(0, "1 image in sub-directories"), (1, None)])
def test_pictures_in_sub_directories_of_a_tiff_are_named(subfile, message, tmp_path):
    """Smaller copies of the picture (pyramids) do not count as lost."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(scene(3), photometric="rgb", metadata=None, subifds=1)
        writer.write(scene(3)[::2, ::2], photometric="rgb", metadata=None, subfiletype=subfile)
    warned = upscale_one(file.getvalue(), tmp_path, "a.tif").warnings
    assert [message in warning for warning in warned] == [True] if message else warned == []


def test_a_transparency_mask_of_a_tiff_is_named(tmp_path):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(scene(3), photometric="rgb", metadata=None)
        writer.write(scene(1)[:, :, 0] > 99, photometric="mask", metadata=None, subfiletype=4)
    assert "the transparency mask" in upscale_one(file.getvalue(), tmp_path, "a.tif").warnings[0]


def test_an_animation_of_one_frame_becomes_a_jpeg(tmp_path):
    record = upscale_one(apng_with_still(), tmp_path, "a.png", format="jpg")
    assert record.error is None
    found = np.asarray(Image.open(record.output))[::4, ::4].astype(int)
    assert np.abs(found - (255 - scene(3).astype(int))).max() < 40


AVIF = {"tmap": "the gain map", "depth": "the depth map", "uuid": "the C2PA manifest"}


@pytest.mark.parametrize("what", sorted(AVIF))
def test_what_lies_beside_an_avif_is_named(what, tmp_path):
    """Boxes are added after those of a complete file; that is all that a reader of the item list sees."""
    data = with_pillow(scene(3), "AVIF")
    if what == "tmap":
        item = box(b"infe", b"\2\0\0\0" + b"\0\x09\0\0tmap\0")
        data += box(b"meta", bytes(4) + box(b"iinf", bytes(4) + b"\0\1" + item))
    elif what == "depth":
        auxiliary = box(b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0")
        data += box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", auxiliary)))
    else:
        data += box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(20))
    assert AVIF[what] in open_photo(data, "x").warnings[0]


def test_text_chunks_are_not_taken_for_private_ones(tmp_path):
    before = chunk(b"zTXt", b"Long\0\0" + zlib.compress(b"x" * 50)) + chunk(b"tIME", bytes([7, 230, 1, 2, 3, 4, 5]))
    assert upscale_one(make_png(scene(3), 8, 2, before=before), tmp_path, "a.png").warnings == []


@pytest.mark.parametrize(("form", "name"), [("PNG", "a.png"), ("WEBP", "a.webp")])
def test_what_follows_the_end_of_other_formats_is_named(form, name, tmp_path):
    whole = with_pillow(scene(3), form)
    assert upscale_one(whole + bytes(3), tmp_path, name, overwrite=True).warnings == []
    record = upscale_one(whole + VIDEO, tmp_path, name, overwrite=True)
    assert record.warnings == ["Left out of the result: the video (motion photo)."]
    record = upscale_one(whole + b"0123456789", tmp_path, name, overwrite=True)
    assert record.warnings == ["Left out of the result: 10 bytes after its end."]


def test_every_comment_of_a_gif_is_kept(tmp_path):
    data = with_pillow(scene(3), "GIF", comment=b"first")
    data = data[:-1] + b"\x21\xfe\6second\0\x21\xfe\5first\0;"
    record = upscale_one(data, tmp_path, "a.gif")
    assert record.warnings == []
    with Image.open(record.output) as found:
        assert found.text["Comment"] == "first\nsecond"


def test_the_second_xmp_packet_of_a_png_is_named(tmp_path):
    packets = [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text) for text in (b"<a/>", b"<b/>", b"<c/>")]
    plain = make_png(scene(3), 8, 2)
    record = upscale_one(plain[:33] + b"".join(packets) + plain[33:], tmp_path, "a.png")
    assert record.warnings == ["Left out of the result: the second XMP packet."]
    assert b"<a/>" in Path(record.output).read_bytes()
