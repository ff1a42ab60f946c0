"""The table: every kind of picture goes in, the same picture comes out, four times larger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photo_corpus import CASES, HEIGHT, WIDTH, Case, scene, with_pillow
from upscale_helpers import decoded, upscale_one


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_value_is_kept(case: Case, tmp_path: Path) -> None:
    """Upscaled by repeating pixels, every fourth pixel is the source's."""
    expected = case.expected()
    record = upscale_one(case.make(), tmp_path, case.file)
    assert record.error is None
    assert record.output is not None
    output = Path(record.output)
    assert output.name == f"a_x4{case.result}"
    found = decoded(output)
    assert found.shape == (4 * expected.shape[0], 4 * expected.shape[1], expected.shape[2])
    assert found.dtype == expected.dtype
    if expected.shape[2] in (2, 4):  # colours that no one sees may change
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


ANIMATED = [("gif", "GIF", ".png"), ("png", "PNG", ".png"), ("webp", "WEBP", ".webp")]


@pytest.mark.parametrize(("suffix", "form", "result"), ANIMATED)
@pytest.mark.parametrize(("loop", "gif_plays"), [(0, 0), (2, 3), (None, 1)])
def test_animations_keep_frames_timing_and_loop(suffix, form, result, loop, gif_plays, tmp_path):
    frames = [Image.fromarray(np.roll(scene(3), 5 * i, axis=1)).quantize(64).convert("RGB") for i in range(4)]
    options = {"lossless": True} if form == "WEBP" else {}
    if loop is not None:
        options["loop"] = loop
    data = with_pillow(
        frames[0], form, save_all=True, append_images=frames[1:], duration=[100, 250, 40, 500], **options
    )
    record = upscale_one(data, tmp_path, f"a.{suffix}")
    assert record.error is None
    assert record.frames == 4
    assert Path(record.output).suffix == result
    with Image.open(record.output) as found, Image.open(tmp_path / f"a.{suffix}") as before:
        assert found.n_frames == 4
        wanted = before.info.get("loop", 0) if form != "GIF" else gif_plays
        assert found.info.get("loop", 0) == wanted
        for index, frame in enumerate(frames):
            found.seek(index)
            found.load()
            assert found.info["duration"] == [100, 250, 40, 500][index]
            seen = np.asarray(found.convert("RGB"))
            before.seek(index)
            assert np.array_equal(seen[::4, ::4], np.asarray(before.convert("RGB")))
            assert np.abs(seen[::4, ::4].astype(int) - np.asarray(frame)).mean() < 8


def test_transparency_of_animations_is_kept(tmp_path):
    frames = []
    for index in range(3):
        image = Image.new("RGBA", (WIDTH, HEIGHT))
        image.paste((200, 30, 40, 255), (3 * index, 2, 3 * index + 9, 12))
        frames.append(image)
    data = with_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0, disposal=2)
    record = upscale_one(data, tmp_path, "a.gif")
    with Image.open(record.output) as found:
        for index, frame in enumerate(frames):
            found.seek(index)
            alpha = np.asarray(found.convert("RGBA"))[::4, ::4, 3]
            assert np.array_equal(alpha, np.asarray(frame)[:, :, 3])


def test_pages_of_a_tiff_are_kept_each_with_its_kind(tmp_path):
    import io

    import tifffile

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
        assert any("Transparency was laid on white" in warning for warning in record.warnings)
        alpha = before[:, :, 3:] / 255
        before = np.concatenate((before[:, :, :3] * alpha + 255 * (1 - alpha), np.full_like(alpha, 255)), axis=2)
        tolerance = 6
    else:
        tolerance = WRITTEN[form]
    assert np.abs(found - before).max() <= max(1, tolerance)
    if channels == 1 and form in ("png", "jpg", "tiff"):
        assert Image.open(record.output).mode == "L", "grey stays grey"


@pytest.mark.parametrize("form", ["jpg", "webp", "avif"])
def test_formats_of_eight_bits_say_what_they_lose(form, tmp_path):
    from photo_corpus import make_png

    record = upscale_one(make_png(scene(3, np.uint16), 16, 2), tmp_path, "a.png", format=form)
    assert any("16-bit samples were reduced to 8-bit" in warning for warning in record.warnings)
    found = np.asarray(Image.open(record.output).convert("RGB"))[::4, ::4].astype(float)
    assert np.abs(found - scene(3, np.uint16) / 257).max() <= WRITTEN[form] + 1


def test_a_ramp_of_16_bits_goes_through_a_network_without_steps_of_8_bits(tmp_path):
    """4096 neighbouring levels between two 8-bit ones: the nearest-neighbour skip of the network must keep them."""
    import torch

    from gramgan_cli.core import archs
    from gramgan_cli.core.weights.header import WeightsHeader, save_weights
    from gramgan_cli.engines.upscale_files import open_machine
    from photo_corpus import make_png

    network = archs.build("compact", {"nf": 8, "nc": 1})
    with torch.no_grad():
        network.body[-1].weight.zero_()
        network.body[-1].bias.zero_()
    save_weights(tmp_path / "skip.safetensors", network.state_dict(), WeightsHeader("compact", {"nf": 8, "nc": 1}, 4))
    ramp = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64, 1).repeat(3, 2) + 30000
    machine = open_machine(str(tmp_path / "skip.safetensors"), "cpu", 32)
    record = upscale_one(make_png(ramp, 16, 2), tmp_path, "ramp.png", machine=machine)
    found = decoded(Path(record.output))
    assert np.array_equal(found[::4, ::4], ramp)
    assert len(np.unique(found)) == 4096
