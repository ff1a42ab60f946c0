"""Damaged, inconsistent and absurd files: one clear message, nothing written, little memory used."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from photo_cases import CASES
from photo_corpus import chunk, make_png, scene, with_pillow, with_tifffile
from PIL import Image
from upscale_helpers import decoded, upscale_one

from gramgan_cli.core.data.prepared import read_rgb
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.read import open_photo

ONE_OF_EACH = {
    "png": lambda: with_pillow(noise(), "PNG"),
    "png16": lambda: make_png(noise(dtype=np.uint16), 16, 2),
    "jpg": lambda: with_pillow(noise(), "JPEG"),
    "webp": lambda: with_pillow(noise(), "WEBP"),
    "lossless.webp": lambda: with_pillow(noise(), "WEBP", lossless=True),
    "gif": lambda: with_pillow(noise(), "GIF", interlace=0),
    "bmp": lambda: with_pillow(noise(), "BMP"),
    "ppm": lambda: with_pillow(noise(), "PPM"),
    "tif": lambda: with_tifffile(noise()),
    "plain.tif16": lambda: with_tifffile(noise(dtype=np.uint16)),
    "tif16": lambda: with_tifffile(noise(dtype=np.uint16), compression="zlib"),
    "avif": lambda: with_pillow(noise(), "AVIF"),
}


def noise(dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (60, 70, 3), dtype)


def error_of(data: bytes, **options: bool) -> str:
    with pytest.raises(GramganError) as caught:
        list(open_photo(data, "x.png", **options).decode())
    return str(caught.value)


def helps(data: bytes) -> bool:
    """Whether a part of a damaged file can be read."""
    try:
        list(open_photo(data, "x.png", allow_truncated=True).decode())
    except GramganError:
        return False
    return True


@pytest.mark.parametrize("kind", sorted(ONE_OF_EACH))
@pytest.mark.parametrize("part", [0.35, 0.7, 0.97])
def test_a_file_that_is_cut_off_is_refused(kind, part):
    data = ONE_OF_EACH[kind]()
    message = error_of(data[: int(part * len(data))])
    assert message.startswith("x.png ")
    assert "\n" not in message
    if "damaged" in message:
        assert ("`allow_truncated`" in message) == helps(data[: int(part * len(data))])


RECOVERABLE = ["png", "png16", "jpg", "bmp", "webp", "lossless.webp", "gif", "ppm", "tif", "plain.tif16"]


@pytest.mark.parametrize("kind", RECOVERABLE)
def test_allow_truncated_recovers_the_upper_part_and_warns(kind, tmp_path):
    whole = ONE_OF_EACH[kind]()
    (tmp_path / "whole").mkdir()
    name = f"a.{kind.removesuffix('16')}"
    expected = decoded(Path(upscale_one(whole, tmp_path / "whole", name).output))
    record = upscale_one(whole[: len(whole) * 7 // 10], tmp_path, name, allow_truncated=True)
    assert record.error is None
    found = decoded(Path(record.output))
    assert found.shape == expected.shape
    rows = slice(expected.shape[0] // 2, None) if kind == "bmp" else slice(0, expected.shape[0] // 2)
    assert np.abs(found[rows].astype(int) - expected[rows]).mean() < 2
    assert np.abs(found.astype(int) - expected).mean() > 2, "nothing was missing"
    assert any("cut off" in warning for warning in record.warnings)


def test_allow_truncated_holds_for_one_picture_only(tmp_path):
    cut = ONE_OF_EACH["jpg"]()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    assert list(open_photo((tmp_path / "cut.jpg").read_bytes(), "cut.jpg", allow_truncated=True).decode())
    with pytest.raises(GramganError, match="truncated"):
        read_rgb(tmp_path / "cut.jpg")


def test_error_messages_have_no_internal_text():
    """No text of struct or of other libraries that is meant for developers."""
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    tiff, jxl = with_tifffile(noise()), imagecodecs.jpegxl_encode(noise(), lossless=True)
    at_the_end = tiff[:4] + struct.pack("<I", len(tiff) + 50) + tiff[8:]
    assert "an offset points outside the file" in error_of(at_the_end)
    assert "codestream is damaged" in error_of(jxl[: len(jxl) // 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty (zero bytes)"),
        (b"just some text, not a picture at all\n" * 40, "is not an image that gramgan can read"),
        (b"%PDF-1.7\n" + bytes(500), "is not an image that gramgan can read"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "damaged"),
        (b"GIF89a", "damaged"),
        (b"II*\0\x08\0\0\0\0\0", "damaged"),
        (b"P6\n0 10\n65535\n", "damaged"),
        (b"BM" + bytes(100), "x.png"),
    ],
)
def test_non_pictures_are_reported_as_such(data, message):
    assert message in error_of(data)


def png_claiming(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(5000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def tiff_claiming(width: int, height: int) -> bytes:
    data = with_tifffile(scene(3, np.uint16))
    return data.replace(struct.pack("<HHII", 256, 4, 1, 34), struct.pack("<HHII", 256, 4, 1, width)).replace(
        struct.pack("<HHII", 257, 4, 1, 21), struct.pack("<HHII", 257, 4, 1, height)
    )


LIARS = {
    "png of 2 500 megapixels": png_claiming(50000, 50000),
    "png of 480 megapixels": png_claiming(60000, 8000),
    "png 16 bit of 400 megapixels": png_claiming(20000, 20000, 16),
    "png of the largest size": png_claiming(2**31 - 1, 2**31 - 1),
    "gif of 4 gigapixels": b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(40),
    "bmp of 900 megapixels": b"BM" + struct.pack("<IHHIIiiHHIIIIII", 200, 0, 0, 54, 40, 30000, 30000, 1, 24, *[0] * 6),
    "ppm of 2 gigapixels": b"P6\n50000 50000\n255\n" + bytes(100),
    "ppm 16 bit of 2 gigapixels": b"P6\n50000 50000\n65535\n" + bytes(100),
    "tiff of 3 gigapixels": tiff_claiming(60000, 50000),
    "tiff of 400 megapixels": tiff_claiming(20000, 20000),
}


@pytest.mark.parametrize("name", sorted(LIARS))
def test_lying_headers_are_refused_without_filling_the_memory(name):
    tracemalloc.start()
    message = error_of(LIARS[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "refuses" in message or "damaged" in message
    assert peak < 50e6


def test_an_icc_profile_that_unpacks_to_gigabytes_is_left_out():
    bomb = b"name\0\0" + zlib.compress(bytes(2**26), 9)
    photo = open_photo(make_png(scene(3), 8, 2, before=chunk(b"iCCP", bomb)), "x.png")
    assert photo.metadata.icc is None
    assert photo.warnings == ("Its ICC profile is damaged and was left out.",)


def test_directories_of_a_tiff_that_run_in_a_circle():
    data = bytearray(with_tifffile(scene(3, np.uint16)))
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    assert "loop" in error_of(bytes(data))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (2, 3)])
def test_tiny_and_thin_pictures(width, height, tmp_path):
    record = upscale_one(
        with_pillow(scene(3, height=height + 1, width=width + 1)[:height, :width], "PNG"), tmp_path, "a.png"
    )
    assert record.error is None
    assert decoded(Path(record.output)).shape == (4 * height, 4 * width, 3)


def assert_result_or_sentence(data: bytes, allow_truncated: bool = False) -> bool:
    """Assert that a file gives a picture or one message; return whether it gave a picture."""
    message = None
    try:
        frames = list(open_photo(data, "x", allow_truncated).decode())
    except GramganError as error:
        message = str(error)
    if message is None:
        assert all(frame.ndim == 3 and frame.size for frame in frames)
        return True
    assert message.startswith("x ")
    assert "\n" not in message
    return False


@pytest.mark.parametrize("kind", sorted(ONE_OF_EACH))
def test_bit_flips_give_a_picture_or_one_sentence(kind):
    data = ONE_OF_EACH[kind]()
    rng = random.Random(kind)
    for _ in range(15):
        broken = bytearray(data)
        for _ in range(rng.choice((1, 3, 20))):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        assert_result_or_sentence(bytes(broken))


def test_every_case_of_the_corpus_cut_off_gives_a_sentence_or_what_is_there():
    for case in CASES[::3]:
        data = case.make()
        for allowed in (False, True):
            opened = assert_result_or_sentence(data[: len(data) // 2], allowed)
            assert allowed or not opened, f"{case.name}: half a file passed as whole"


def test_a_wrong_file_ending_does_not_matter(tmp_path):
    record = upscale_one(with_pillow(scene(3), "PNG"), tmp_path, "photo.jpg")
    assert record.error is None
    assert Path(record.output).name == "photo_x4.png"
    assert Image.open(record.output).format == "PNG"


def test_frames_of_a_cut_animation_don_t_wait_for_pillow_s_switch() -> None:
    """The next picture is opened in strict mode before this one's frames are used."""
    rng = np.random.default_rng(3)
    frames = [Image.fromarray(rng.integers(0, 256, (60, 70, 3), np.uint8)) for _ in range(3)]
    whole = with_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    cut = open_photo(whole[: len(whole) * 9 // 10], "cut.gif", True)
    open_photo(ONE_OF_EACH["jpg"](), "next.jpg", True)
    decoded_frames = list(cut.decode())
    assert len(decoded_frames) == len(cut.frames) == 3
    first = np.asarray(Image.open(io.BytesIO(whole)).convert("RGB"))
    np.testing.assert_array_equal(decoded_frames[0][:, :, :3], first)


def gif_of_frames(count: int, side: int) -> bytes:
    """A GIF with a huge screen and many frames of one pixel, a few bytes each."""
    frame = b"\x21\xf9\4\4\1\0\0\0" + b"\x2c" + bytes(4) + struct.pack("<HHB", 1, 1, 0) + b"\2\2\x44\1\0"
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + frame * count + b";"


def apng_of_frames(count: int, side: int) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    first = zlib.compress(bytes(side * (1 + -(-side // 8))), 9)
    small = zlib.compress(bytes(2), 9)
    body = chunk(b"IHDR", head) + chunk(b"acTL", struct.pack(">II", count + 1, 0))
    body += chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 10, 0, 0)) + chunk(b"IDAT", first)
    for index in range(count):
        control = struct.pack(">IIIIIHHBB", 2 * index + 1, 1, 1, 0, 0, 1, 10, 0, 0)
        body += chunk(b"fcTL", control) + chunk(b"fdAT", struct.pack(">I", 2 * index + 2) + small)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def webp_of_frames(count: int, side: int) -> bytes:
    small = with_pillow(Image.new("RGB", (2, 2)), "WEBP", lossless=True)[12:]
    size = struct.pack("<I", side - 1)[:3]
    frame = bytes(6) + b"\1\0\0\1\0\0" + b"\x32\0\0\0" + small
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + size * 2 + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    chunks += (b"ANMF" + struct.pack("<I", len(frame)) + frame + b"\0" * (len(frame) % 2)) * count
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def tiff_of_pages(count: int, side: int) -> bytes:
    """A TIFF whose pages all share one strip of a bilevel picture, compressed to almost nothing."""
    packed = zlib.compress(bytes(side * -(-side // 8)), 9)
    tags = {256: side, 257: side, 258: 1, 259: 8, 262: 1, 273: 8, 277: 1, 278: side, 279: len(packed)}
    start = 8 + len(packed)
    size = 2 + 12 * len(tags) + 4
    directories = b""
    for page in range(count):
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
        following = start + size * (page + 1) if page + 1 < count else 0
        directories += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return struct.pack("<2sHI", b"II", 42, start) + packed + directories


MANY = {"gif": gif_of_frames, "png": apng_of_frames, "webp": webp_of_frames, "tif": tiff_of_pages}


@pytest.mark.parametrize("kind", sorted(MANY))
def test_many_frames_of_a_huge_screen_are_refused(kind):
    """Decoding them would take hours, though none of them is too large."""
    for count, side in ((3000, 2000), (200, 4900)):
        message = error_of(MANY[kind](count, side))
        assert "over all frames" in message
        assert "refuses" in message


@pytest.mark.parametrize("end", [b";", b""])
@pytest.mark.parametrize("position", [(2604, 14080, 8192, 8192), (20000, 20000, 1, 1), (0, 0, 16000, 16000)])
def test_a_frame_far_outside_a_small_screen_is_refused(position, end):
    """Decoders enlarge the screen for it, also for one whose data is cut off."""
    frame = b"\x2c" + struct.pack("<4HB", *position, 0) + b"\2\2\x44\1\0"
    data = gif_of_frames(3, 10)[:-1] + frame
    for cut in (len(data), len(data) - 1, len(data) - 3):
        for lenient in (False, True):
            message = error_of(data[:cut] + end, allow_truncated=lenient)
            assert "refuses" in message or (message.startswith("x.png is damaged") and not lenient)
            assert "what is left of it" not in message


def test_a_frame_a_little_outside_the_screen_is_seen_whole():
    frame = b"\x2c" + struct.pack("<4HB", 8, 9, 4, 4, 0) + b"\2\2\x44\1\0"
    photo = open_photo(gif_of_frames(2, 10)[:-1] + frame + b";", "x.gif", allow_truncated=True)
    assert [(one.width, one.height) for one in photo.frames] == [(12, 13)] * 3


def test_a_plain_ppm_of_one_endless_number_takes_no_time():
    message = error_of(b"P3\n2000 2000\n255\n" + b"1" * 4_000_000)
    assert "damaged" in message


NOTHING_LEFT = {kind: make for kind, make in ONE_OF_EACH.items() if kind not in ("avif", "lossless.webp", "png16")}


@pytest.mark.parametrize("kind", sorted(NOTHING_LEFT))
def test_allow_truncated_makes_no_picture_of_nothing(kind):
    """A file that ends before its first pixel is an error, even with --allow-truncated."""
    data = NOTHING_LEFT[kind]()
    if kind.endswith(("tif", "tif16")):  # their pixels come first, so the directory's offset is past the end
        at = struct.unpack_from("<I", data, 4)[0]
        count = struct.unpack_from("<H", data, at)[0]
        broken = bytearray(data)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            if struct.unpack_from("<H", data, entry)[0] == 273:
                struct.pack_into("<HI", broken, entry + 2, 4, 1)
                struct.pack_into("<I", broken, entry + 8, len(data) + 1000)
        assert "damaged" in error_of(bytes(broken), allow_truncated=True)
        return
    starts = {"png": data.find(b"IDAT") + 4, "jpg": data.find(b"\xff\xda") + 14, "gif": 13 + 768, "bmp": 54}
    starts |= {"ppm": len(b"P6\n70 60\n255\n"), "webp": 20}
    assert "damaged" in error_of(data[: starts[kind]], allow_truncated=True)
