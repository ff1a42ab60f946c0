"""Detecting formats by content: supported ones, and unsupported ones that are named."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import fsspec
import numpy as np
import pytest
import tifffile
from photo_cases import CASES
from photo_corpus import chunk, make_png, scene, with_pillow, with_tifffile
from PIL import Image
from upscale_helpers import decoded, upscale_one

from gramgan_cli.core.data.prepared import read_rgb
from gramgan_cli.core.errors import GramganError, ImageUnsupported
from gramgan_cli.core.images.kinds import kind_of, kind_of_bytes
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.engines.upscale.inputs import Search, find

SUFFIXES = {".jpeg": "jpg", ".tif": "tiff", ".pgm": "ppm", ".pbm": "ppm"}


@pytest.mark.parametrize("case", CASES[::5], ids=[case.name for case in CASES[::5]])
def test_supported_formats_are_detected_by_content(case, tmp_path):
    path = tmp_path / "a.unknown"
    path.write_bytes(case.make())
    kind = kind_of(path)
    suffix = Path(case.file).suffix
    assert kind is not None
    assert (kind.name, kind.read) == (SUFFIXES.get(suffix, suffix[1:]), True)


@pytest.mark.parametrize("name", ["a.jfif", "a.jfi", "a.jif", "a.JPG", "a.pjpeg", "a"])
def test_a_jpeg_of_any_name_is_one(name, tmp_path):
    (tmp_path / name).write_bytes(with_pillow(scene(3), "JPEG"))
    assert kind_of(tmp_path / name).name == "jpg"


def raw_tiff() -> bytes:
    """A thumbnail with a sub-directory, like the start of camera raw files."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(scene(3), photometric="rgb", metadata=None, subfiletype=1, subifds=1)
        writer.write(scene(1, np.uint16)[:, :, 0], photometric="minisblack", metadata=None)
    return file.getvalue()


FOREIGN = {
    "photo.psd": (b"8BPS\0\1" + bytes(100), "Photoshop"),
    "photo.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "JPEG 2000"),
    "photo.cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "raw"),
    "photo.cr3": (b"\0\0\0\x18ftypcrx " + bytes(100), "raw"),
    "photo.raf": (b"FUJIFILMCCD-RAW 0201" + bytes(100), "raw"),
    "photo.rw2": (b"IIU\0\x18\0\0\0" + bytes(100), "raw"),
    "photo.orf": (b"IIRO\x08\0\0\0" + bytes(100), "raw"),
    "photo.exr": (b"v/1\1" + bytes(100), "OpenEXR"),
    "photo.hdr": (b"#?RADIANCE\n" + bytes(100), "Radiance"),
    "photo.ico": (b"\0\0\1\0\1\0" + bytes(100), "icon"),
    "photo.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
    "photo.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "photo.tga": (bytes([0, 0, 2]) + bytes(9) + struct.pack("<HHBB", 4, 4, 24, 0) + bytes(48), "TGA"),
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_unsupported_formats_are_identified_by_content(name, tmp_path):
    data, label = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    kind = kind_of(tmp_path / name)
    assert kind is not None
    assert not kind.read
    assert label in kind.label
    if label != "TGA":
        message = upscale_one(data, tmp_path, name).error
        assert "in a format that gramgan does not read" in message
        assert label in message
        assert "damaged" not in message
        assert "--allow-truncated" not in message


@pytest.mark.parametrize("name", ["a.nef", "a.dng", "a.arw"])
def test_camera_raw_files_that_begin_like_a_tiff(name, tmp_path):
    data = raw_tiff() if name != "a.dng" else with_tifffile(scene(3), extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
    message = upscale_one(data, tmp_path, name).error
    assert "camera raw" in message
    assert "damaged" not in message
    assert not kind_of(tmp_path / name).read


def test_apples_png_variant_is_named(tmp_path):
    data = with_pillow(scene(3), "PNG")
    data = data[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + data[8:]
    message = upscale_one(data, tmp_path, "a.png").error
    assert "CgBI" in message
    assert "damaged" not in message


@pytest.mark.parametrize(
    "head", [b"", b"\0" * 64, b"hello", b"PK\3\4" + bytes(40), b"%PDF-1.7", b"\x1f\x8b" + bytes(30)]
)
def test_non_pictures_have_no_kind(head):
    assert kind_of_bytes(head) is None


def test_many_comments_take_no_time():
    """The pattern of SVG tried every way to divide them: twice the time for each comment."""
    page = b"<?xml version='1.0'?>" + b"<!-- a -->" * 60
    assert kind_of_bytes(page + b"<html>") is None
    assert kind_of_bytes(page + b"<svg>").name == "svg"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.eps", "a.tif"])
def test_training_starts_no_other_program_over_a_picture(name, tmp_path, monkeypatch):
    """Pillow passes EPS to Ghostscript, whatever the file's name."""
    import subprocess

    def started(*_args: object, **_options: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(subprocess, "check_call", started)
    path = tmp_path / name
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n{} loop\n%%EOF\n")
    with pytest.raises(GramganError, match=name.replace(".", r"\.")):
        read_rgb(path)
    with pytest.raises(GramganError, match="does not read"):
        open_photo(path.read_bytes(), name)


def test_a_jpeg_that_lacks_only_its_last_marker_opens(tmp_path):
    for progressive in (False, True):
        whole = with_pillow(scene(3, height=50, width=70), "JPEG", quality=90, progressive=progressive)
        expected = np.asarray(Image.open(Path(upscale_one(whole, tmp_path, "w.jpg", overwrite=True).output)))
        for cut in (1, 2):
            record = upscale_one(whole[:-cut], tmp_path, "a.jpg", overwrite=True)
            assert record.error is None
            assert "end marker is missing" in record.warnings[0]
            assert np.array_equal(decoded(Path(record.output)), expected)
        assert "damaged or cut off" in upscale_one(whole[:-200], tmp_path, "b.jpg").error


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_lacks_only_its_end_opens(depth, interlaced, tmp_path):
    samples = scene(3, np.uint16 if depth == 16 else np.uint8)
    whole = make_png(samples, depth, 2, interlaced)
    for cut in (1, 5, 12):
        record = upscale_one(whole[:-cut], tmp_path, "a.png", overwrite=True)
        assert record.error is None
        assert record.warnings == ["Its end is missing: its image is complete, but anything that followed is lost."]
        (found,) = open_photo(Path(record.output).read_bytes(), "x").decode()
        assert np.array_equal(found[::4, ::4], samples)
    within_its_text = whole[:-12] + chunk(b"tEXt", b"Title\0" + b"a" * 50)[:-30]
    assert "end is missing" in upscale_one(within_its_text, tmp_path, "a.png", overwrite=True).warnings[0]
    assert "the file ends early" in upscale_one(whole[:-14], tmp_path, "b.png").error


def test_a_gif_that_lacks_only_its_last_marker_opens():
    frames = [Image.fromarray(np.roll(scene(3), 4 * index, axis=1)) for index in range(3)]
    for more, named in (([], "its image can be read"), (frames[1:], "its 3 frames can be read")):
        whole = with_pillow(frames[0], "GIF", save_all=bool(more), append_images=more)
        assert whole[-1:] == b";"
        photo, complete = open_photo(whole[:-1], "a.gif"), open_photo(whole, "a.gif")
        assert named in photo.warnings[0]
        assert complete.warnings == ()
        for found, expected in zip(photo.decode(), complete.decode(), strict=True):
            assert np.array_equal(found, expected)
        with pytest.raises(GramganError, match="the file ends early"):
            open_photo(whole[:-2], "a.gif")


def test_bytes_between_the_blocks_of_a_gif_are_passed_over():
    whole = with_pillow(Image.fromarray(scene(3)), "GIF")
    (expected,) = open_photo(whole, "a.gif").decode()
    photo = open_photo(whole[:-1] + b"\0\0stray;", "a.gif")
    assert photo.warnings == ()
    assert np.array_equal(next(iter(photo.decode())), expected)


def test_an_heic_that_is_cut_off_says_so():
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    heif.register_heif_opener()
    whole = with_pillow(scene(3, height=64, width=64), "HEIF")
    assert open_photo(whole, "a.heic").warnings == ()
    for cut in (1, 60, 400):
        with pytest.raises(GramganError, match="the file ends early"):
            list(open_photo(whole[:-cut], "a.heic").decode())
    behind = whole + struct.pack(">I4s", 4000, b"mdat") + bytes(90)  # where phones store depth maps and copies
    assert open_photo(behind, "a.heic").warnings == (
        "It is cut off after its main image: anything that followed is lost.",
    )


def test_a_folder_reports_skipped_files_and_reads_jpegs_with_any_ending(tmp_path, capsys, monkeypatch):
    from gramgan_cli.cli.app import main

    folder = tmp_path / "in"
    folder.mkdir()
    for name, (data, _) in FOREIGN.items():
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("hello")
    for name in ("a.jfi", "b.pjpeg", "c.jpg"):
        (folder / name).write_bytes(with_pillow(scene(3), "JPEG"))
    command = ["gramgan", "upscale", str(folder), "--model", "nearest", "-o", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    message = "".join(capsys.readouterr())
    assert ended.value.code in (0, None)
    assert f"Left out {len(FOREIGN)} files in formats that gramgan does not read in folders" in message.replace(
        "\n", " "
    )
    assert len(list((tmp_path / "out").glob("*_x4.*"))) == 3


def test_pictures_under_other_names_are_named_and_backups_are_not_read(tmp_path):
    """exiftool leaves ``photo.jpg_original`` next to ``photo.jpg``; reading both would give two results one name."""
    for name, form in (("photo.jpg", "JPEG"), ("photo.jpg_original", "JPEG"), ("scan", "PNG"), ("b.dat", "WEBP")):
        (tmp_path / name).write_bytes(with_pillow(scene(3), form))
    named: list[tuple[str, str]] = []
    search = Search(False, None, on_foreign=lambda path, kind: named.append((Path(path).name, kind)))
    assert [Path(one.source).name for one in find([str(tmp_path)], search)] == ["photo.jpg"]
    expected = [("b.dat", "WebP with an unusual name"), ("photo.jpg_original", "JPEG with an unusual name")]
    assert named == [*expected, ("scan", "PNG with an unusual name")]


def test_folders_at_urls_report_unsupported_formats():
    files = fsspec.filesystem("memory")
    for name in ("a.png", "b.NEF", "c.psd", "d.tga", "e.txt", ".hidden.psd", "f.jp2"):
        files.pipe_file(f"/kinds/{name}", b"x")
    named: list[tuple[str, str]] = []
    search = Search(False, None, on_foreign=lambda path, kind: named.append((path.rpartition("/")[2], kind)))
    assert [one.below for one in find(["memory://kinds"], search)] == ["a.png"]
    assert [name for name, _ in named] == ["b.NEF", "c.psd", "d.tga", "f.jp2"]
    assert named[1][1] == "Photoshop document"


@pytest.mark.parametrize(("at", "value"), [(28, 2), (28, 64), (30, 4), (30, 5)], ids=["2", "64", "JPEG", "PNG"])
def test_bitmaps_of_other_depths_and_compressions_are_not_called_damaged(at, value):
    data = bytearray(with_pillow(scene(3), "BMP"))
    data[at : at + 2] = value.to_bytes(2, "little")
    with pytest.raises(ImageUnsupported, match="in a format that gramgan does not read"):
        open_photo(bytes(data), "x.bmp")
