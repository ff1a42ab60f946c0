"""Results in every output format carry a mark, which other libraries can read; nothing else changes."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from photo_corpus import scene, with_pillow
from photo_parts import DISPLAY_P3, XMP
from PIL import Image
from upscale_helpers import decoded, upscale_one

from gramgan_cli.core.images.result_mark import Mark, mark_in, read_mark
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import open_session


def software(path: Path) -> str:
    """The software that Pillow and tifffile read from the file."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            return str(file.pages[0].tags["Software"].value)
    with Image.open(path) as image:
        return image.text["Software"] if path.suffix == ".png" else image.getexif()[0x0131]


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tiff", "avif"])
@pytest.mark.parametrize("before", ["", "Camera 1.2"])
def test_a_mark_is_appended_to_existing_software_text(form: str, before: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if before:
        exif[0x0131] = before
    data = with_pillow(scene(3), "JPEG", exif=exif)
    result = upscale_one(data, tmp_path, "a.jpg", format=form)
    assert result.error is None
    assert result.warnings == []
    path = Path(result.output)
    message = software(path)
    kept = before if form != "png" else ""  # a PNG keeps its EXIF block unchanged
    assert message.startswith(f"{kept}; gramgan " if kept else "gramgan ")
    session = open_session(UpscaleOptions(model="nearest", device="cpu", format=form))
    mark = session.mark(hashlib.sha256(data).hexdigest())
    assert read_mark(path) == mark
    with Image.open(path) as image:
        found = image.getexif()
        assert found[0x010F] == "Maker"
        if form == "png" and before:
            assert found[0x0131] == before
    again = upscale_one(path.read_bytes(), tmp_path, f"again{path.suffix}", format="same")
    assert software(Path(again.output)).count("gramgan") == 1, "an earlier mark goes"
    assert read_mark(Path(again.output)) != mark


def test_the_text_of_a_png_stays_before_the_mark(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in (("Software", "Painter"), ("Title", "Sea")):
        info.add_text(key, text)
    result = upscale_one(with_pillow(scene(3), "PNG", pnginfo=info), tmp_path, "a.png")
    with Image.open(result.output) as image:
        assert image.text["Title"] == "Sea"
        assert image.text["Software"].startswith("Painter; gramgan ")
    assert np.array_equal(decoded(Path(result.output))[::4, ::4], scene(3))


def test_files_that_are_not_results_have_no_mark(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_pillow(scene(3), "JPEG", comment=b"made with gramgan 0.1 (nice)"))
    assert read_mark(tmp_path / "a.jpg") is None
    assert read_mark(tmp_path / "absent.jpg") is None
    assert mark_in(str(Mark("a (b); c", "0" * 32)).encode()) == Mark("a__b___c", "0" * 32)


def _large_profile() -> bytes:
    """An incompressible profile of 300 kB, with an extra tag that readers ignore."""
    tag = b"data\0\0\0\0" + np.random.default_rng(1).bytes(300_000)
    count = int.from_bytes(DISPLAY_P3[128:132], "big")
    table_end = 132 + 12 * count
    table = b""
    for at in range(132, table_end, 12):
        name, offset, length = struct.unpack_from(">4sII", DISPLAY_P3, at)
        table += struct.pack(">4sII", name, offset + 12, length)
    whole = DISPLAY_P3[:128] + struct.pack(">I", count + 1) + table
    whole += struct.pack(">4sII", b"prvt", len(DISPLAY_P3) + 12, len(tag)) + DISPLAY_P3[table_end:] + tag
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tiff", "avif"])
def test_the_mark_is_found_however_much_stands_around_it(form: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "d" * 60_000
    noise = np.random.default_rng(2).bytes(120_000).hex().encode()
    xmp = XMP.replace(b"A title", noise)
    data = with_pillow(scene(3), "WEBP", exif=exif, icc_profile=_large_profile(), xmp=xmp)
    result = upscale_one(data, tmp_path, "a.webp", format=form)
    assert read_mark(Path(result.output)) is not None


def test_a_jpeg_whose_exif_is_full_has_its_mark_as_a_comment(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "d" * 65_440
    result = upscale_one(with_pillow(scene(3), "JPEG", exif=exif), tmp_path, "a.jpg")
    with Image.open(result.output) as image:
        assert image.getexif()[0x010E] == "d" * 65_440
        assert 0x0131 not in image.getexif()
    assert read_mark(Path(result.output)) is not None


def test_a_mark_that_another_program_put_behind_the_pixels_is_found(tmp_path: Path) -> None:
    """ImageMagick writes a PNG's text chunks after the pixels."""
    result = upscale_one(with_pillow(scene(3), "PNG"), tmp_path, "a.png")
    content = Path(result.output).read_bytes()
    at = content.index(b"tEXt") - 4
    end = at + 12 + int.from_bytes(content[at : at + 4], "big")
    last = content.rindex(b"IEND") - 4
    moved = tmp_path / "moved.png"
    moved.write_bytes(content[:at] + content[end:last] + content[at:end] + content[last:])
    with Image.open(moved) as image:
        image.load()
        assert "gramgan" in image.text["Software"]
    assert read_mark(moved) == read_mark(Path(result.output)) is not None


@pytest.mark.parametrize("length", [2, 9, 15, 16, 17, 40, 400])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_file_that_is_cut_off_has_no_mark_and_is_no_error(form: str, length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(with_pillow(scene(3), form)[:length])
    assert read_mark(path) is None
