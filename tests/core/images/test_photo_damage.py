"""Damaged, lying and absurd files: one clear sentence, nothing written, no memory filled."""

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
from photo_corpus import CASES, chunk, make_png, scene, with_pillow, with_tifffile
from PIL import Image
from upscale_helpers import decoded, upscale_one

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


@pytest.mark.parametrize("kind", sorted(ONE_OF_EACH))
@pytest.mark.parametrize("part", [0.35, 0.7, 0.97])
def test_a_file_that_is_cut_off_is_refused(kind, part):
    data = ONE_OF_EACH[kind]()
    message = error_of(data[: int(part * len(data))])
    assert message.startswith("x.png ")
    assert "\n" not in message
    if "damaged" in message:
        assert "--allow-truncated" in message


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


def test_the_reason_is_no_internal_text():
    """Nothing of struct, and nothing that is meant for those who build a library."""
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    tiff, jxl = with_tifffile(noise()), imagecodecs.jpegxl_encode(noise(), lossless=True)
    at_the_end = tiff[:4] + struct.pack("<I", len(tiff) + 50) + tiff[8:]
    assert "an offset points outside the file" in error_of(at_the_end)
    assert "codestream is damaged" in error_of(jxl[: len(jxl) // 2])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (zero bytes)"),
        (b"just some text, not a picture at all\n" * 40, "is not a picture that gramgan reads"),
        (b"%PDF-1.7\n" + bytes(500), "is not a picture that gramgan reads"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "damaged"),
        (b"GIF89a", "damaged"),
        (b"II*\0\x08\0\0\0\0\0", "damaged"),
        (b"P6\n0 10\n65535\n", "damaged"),
        (b"BM" + bytes(100), "x.png"),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(data, said):
    assert said in error_of(data)


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
    assert "refused" in message or "damaged" in message
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
    assert "circle" in error_of(bytes(data))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (2, 3)])
def test_the_smallest_and_the_thinnest(width, height, tmp_path):
    record = upscale_one(
        with_pillow(scene(3, height=height + 1, width=width + 1)[:height, :width], "PNG"), tmp_path, "a.png"
    )
    assert record.error is None
    assert decoded(Path(record.output)).shape == (4 * height, 4 * width, 3)


def assert_result_or_sentence(data: bytes, allow_truncated: bool = False) -> bool:
    """Whether the file gave a picture; anything but a picture or one sentence is a failure."""
    said = None
    try:
        frames = list(open_photo(data, "x", allow_truncated).decode())
    except GramganError as error:
        said = str(error)
    if said is None:
        assert all(frame.ndim == 3 and frame.size for frame in frames)
        return True
    assert said.startswith("x ")
    assert "\n" not in said
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


def test_a_name_that_lies_about_the_format_does_not_matter(tmp_path):
    record = upscale_one(with_pillow(scene(3), "PNG"), tmp_path, "photo.jpg")
    assert record.error is None
    assert Path(record.output).name == "photo_x4.png"
    assert Image.open(record.output).format == "PNG"


def test_frames_of_a_cut_animation_don_t_wait_for_pillow_s_switch() -> None:
    """The next picture is opened, strictly, before this one's frames are used."""
    rng = np.random.default_rng(3)
    frames = [Image.fromarray(rng.integers(0, 256, (60, 70, 3), np.uint8)) for _ in range(3)]
    whole = with_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    cut = open_photo(whole[: len(whole) * 9 // 10], "cut.gif", True)
    open_photo(ONE_OF_EACH["jpg"](), "next.jpg", True)
    decoded_frames = list(cut.decode())
    assert len(decoded_frames) == len(cut.frames) == 3
    first = np.asarray(Image.open(io.BytesIO(whole)).convert("RGB"))
    np.testing.assert_array_equal(decoded_frames[0][:, :, :3], first)
