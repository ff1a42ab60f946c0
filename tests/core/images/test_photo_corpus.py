"""Every picture of the corpus comes out unchanged, four times larger."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from photo_cases import CASES, Case
from photo_corpus import HEIGHT, WIDTH, oriented_jpeg, scene, seen_upright, with_pillow, with_tifffile
from PIL import Image
from upscale_helpers import decoded, upscale_one

from gramgan_cli.core.images.formats.jxl import Header, read_header


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_value_is_kept(case: Case, tmp_path: Path) -> None:
    """After upscaling by nearest neighbour, every fourth pixel is the source's."""
    expected = case.expected()
    record = upscale_one(case.make(), tmp_path, case.file)
    assert record.error is None
    assert record.output is not None
    output = Path(record.output)
    assert output.name == f"a_x4{case.result}"
    found = decoded(output)
    assert found.shape == (4 * expected.shape[0], 4 * expected.shape[1], expected.shape[2])
    assert found.dtype == expected.dtype
    if expected.shape[2] in (2, 4):  # colours of transparent pixels may change
        hidden = expected[:, :, -1] == 0
        assert np.array_equal(found[::4, ::4, -1], expected[:, :, -1])
        found, expected = found.repeat(1, 0), expected.copy()
        expected[hidden] = found[::4, ::4][hidden]
    for y, x in ((0, 0), (1, 2), (3, 3)):
        assert np.abs(found[y::4, x::4].astype(float) - expected).max() <= case.tolerance
    if case.warned is None:
        assert record.warnings == []
    else:
        assert any(case.warned in warning for warning in record.warnings)


@pytest.mark.parametrize(
    ("package", "form", "suffix"), [("pillow_heif", "HEIF", ".heic"), ("pillow_jxl", "JXL", ".jxl")]
)
def test_formats_of_the_extras(package, form, suffix, tmp_path):
    module = pytest.importorskip(package, reason=f"the extra with {package} is not installed")
    if package == "pillow_heif":
        module.register_heif_opener()
    record = upscale_one(with_pillow(scene(3, height=64, width=64), form, quality=95), tmp_path, "a" + suffix)
    assert record.error is None
    found = decoded(Path(record.output))
    assert np.abs(found[::4, ::4].astype(float) - scene(3, height=64, width=64)).mean() < 3


def test_heic_of_10_bits_becomes_16(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    file = io.BytesIO()
    image = scene(3, np.uint16, height=64, width=64)
    made = heif.from_bytes("RGB;16", (64, 64), image.tobytes())
    made.save(file, quality=-1, bit_depth=10, chroma=444, matrix_coefficients=0)
    record = upscale_one(file.getvalue(), tmp_path, "a.heic")
    found = decoded(Path(record.output))
    assert found.dtype == np.uint16
    assert np.abs(found[::4, ::4].astype(float) - image).max() <= 65535 / 1023 * 2
    assert (found % 257).any(), "values that 8 bits do not have"


def test_jpeg_xl_keeps_16_bits(tmp_path):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    for channels in (1, 3, 4):
        image = scene(channels, np.uint16)
        record = upscale_one(imagecodecs.jpegxl_encode(image, lossless=True), tmp_path, "a.jxl", overwrite=True)
        assert record.error is None
        assert np.array_equal(decoded(Path(record.output))[::4, ::4], image)


def test_jpeg_xl_comes_out_upright_with_exif(tmp_path):
    """A rotated JPEG, recompressed losslessly as JPEG XL: both the codestream and EXIF have the orientation."""
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    (tmp_path / "a.jpg").write_bytes(oriented_jpeg(6))
    with Image.open(tmp_path / "a.jpg") as photo, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo.save(tmp_path / "a.jxl")
    record = upscale_one((tmp_path / "a.jxl").read_bytes(), tmp_path, "a.jxl")
    found = decoded(Path(record.output))
    assert found.shape == (4 * WIDTH, 4 * HEIGHT, 3)
    assert np.abs(found[::4, ::4].astype(float) - seen_upright(scene(3), 6)).max() <= 8
    assert Image.open(record.output).getexif()[0x0112] == 1


@pytest.mark.parametrize("size", [(8, 8), (8, 16), (256, 256), (1, 1), (3, 2), (600, 400), (9000, 3), (20, 2000)])
def test_the_header_of_jpeg_xl_says_its_size(size):
    width, height = size
    data = imagecodecs.jpegxl_encode(np.zeros((height, width, 3), np.uint8), lossless=True)
    assert read_header(data) == Header(width, height, 1, False)
    assert read_header(imagecodecs.jpegxl_encode(np.zeros((2, height, width, 3), np.uint8), lossless=True)).animated


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_that_are_no_colours_are_left_out_and_said(dtype, tmp_path):
    image = np.concatenate((scene(3, dtype), scene(2, dtype)), axis=2)
    data = with_tifffile(image, photometric="rgb", extrasamples=["unspecified", "unspecified"])
    record = upscale_one(data, tmp_path, "a.tif")
    assert np.array_equal(decoded(Path(record.output))[::4, ::4], scene(3, dtype))
    assert record.warnings == ["Samples that are neither colour nor alpha were left out."]


def test_kinds_that_are_not_read_are_named(tmp_path):
    """They are not called damaged, and --allow-truncated is not suggested."""
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    moving = imagecodecs.jpegxl_encode(np.zeros((2, 8, 8, 3), np.uint8), lossless=True)
    lab = with_tifffile(scene(3, np.uint16), photometric="cielab")
    signed = with_tifffile(scene(3, np.int16))
    twelve = imagecodecs.jpeg8_encode(scene(3, np.uint16) >> 4, bitspersample=12)
    for name, data, message in (
        ("a.jxl", moving, "animated JPEG XL"),
        ("b.tif", lab, "Lab, 3 samples of 16 bits"),
        ("c.tif", signed, "int16"),
        ("d.jpg", twelve, "JPEG with 12-bit samples"),
    ):
        error = upscale_one(data, tmp_path, name).error
        assert message in error
        assert "Convert it" in error
        assert "damaged" not in error


def test_pages_of_a_tiff_are_kept_each_with_its_kind(tmp_path):
    pages = [scene(3), scene(1, np.uint16)[:, :, 0], scene(3, np.uint16)[:10, :12]]
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, metadata=None, photometric="rgb" if page.ndim == 3 else "minisblack")
    record = upscale_one(file.getvalue(), tmp_path, "a.tif")
    assert record.error is None
    assert record.frames == 3
    with tifffile.TiffFile(record.output) as found:
        assert len(found.pages) == 3
        for page, expected in zip(found.pages, pages, strict=True):
            array = page.asarray()
            assert array.dtype == expected.dtype
            assert np.array_equal(array, expected.repeat(4, 0).repeat(4, 1))


WRITTEN = {"png": 0, "jpg": 6, "webp": 40, "tiff": 0, "avif": 10}


@pytest.mark.parametrize("form", sorted(WRITTEN))
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_written_format_holds_every_kind_of_channels(form, channels, tmp_path):
    image = scene(channels)
    record = upscale_one(with_pillow(image, "PNG"), tmp_path, "a.png", format=form)
    assert record.error is None
    found = np.asarray(Image.open(record.output).convert("RGBA")).astype(float)[::4, ::4]
    before = np.asarray(Image.open(tmp_path / "a.png").convert("RGBA")).astype(float)
    if form == "jpg" and channels in (2, 4):
        assert any("Transparency was replaced by white" in warning for warning in record.warnings)
        alpha = before[:, :, 3:] / 255
        before = np.concatenate((before[:, :, :3] * alpha + 255 * (1 - alpha), np.full_like(alpha, 255)), axis=2)
        tolerance = 6
    else:
        tolerance = WRITTEN[form]
    assert np.abs(found - before).max() <= max(1, tolerance)
    if channels == 1 and form in ("png", "jpg", "tiff"):
        assert Image.open(record.output).mode == "L", "grey stays grey"


@pytest.mark.parametrize("form", ["jpg", "webp", "avif"])
def test_8_bit_formats_warn_about_lost_depth(form, tmp_path):
    from photo_corpus import make_png

    record = upscale_one(make_png(scene(3, np.uint16), 16, 2), tmp_path, "a.png", format=form)
    assert any("16-bit samples were reduced to 8-bit" in warning for warning in record.warnings)
    found = np.asarray(Image.open(record.output).convert("RGB"))[::4, ::4].astype(float)
    assert np.abs(found - scene(3, np.uint16) / 257).max() <= WRITTEN[form] + 1


def test_a_ramp_of_16_bits_goes_through_a_network_without_steps_of_8_bits(tmp_path):
    """4096 neighbouring levels span only 16 of 8 bits; the nearest-neighbour skip of the network must keep them."""
    import torch
    from photo_corpus import make_png
    from upscale_helpers import session_of

    from gramgan_cli.core import archs
    from gramgan_cli.core.weights.header import WeightsHeader, save_weights

    network = archs.build("compact", {"nf": 8, "nc": 1})
    with torch.no_grad():
        network.body[-1].weight.zero_()
        network.body[-1].bias.zero_()
    save_weights(tmp_path / "skip.safetensors", network.state_dict(), WeightsHeader("compact", {"nf": 8, "nc": 1}, 4))
    ramp = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64, 1).repeat(3, 2) + 30000
    session = session_of(str(tmp_path / "skip.safetensors"), 32)
    record = upscale_one(make_png(ramp, 16, 2), tmp_path, "ramp.png", session=session)
    found = decoded(Path(record.output))
    assert np.array_equal(found[::4, ::4], ramp)
    assert len(np.unique(found)) == 4096
