"""Animations: frames, timing, loop, disposal and transparency of GIF, APNG and WebP."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from photo_corpus import HEIGHT, WIDTH, chunk, exif_with, scene, seen_upright, with_pillow
from photo_parts import drawn_frames, make_apng
from PIL import Image
from upscale_helpers import upscale_one

from gramgan_cli.core.errors import ImageDamaged
from gramgan_cli.core.images.formats.png.write import delay
from gramgan_cli.core.images.formats.webp import whole_milliseconds
from gramgan_cli.core.images.read import open_photo

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


def frames_of(data: bytes) -> np.ndarray:
    """RGBA frames, as Pillow composes them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.stack([_seen(image, index) for index in range(image.n_frames)])


def _seen(image: Image.Image, index: int) -> np.ndarray:
    image.seek(index)
    return np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("channels", "colour"), [(3, 2), (4, 6)])
def test_frames_of_apng_are_composed_as_others_compose_them(channels, colour, seed):
    frames = drawn_frames(channels, seed)
    times = [(1, 10)] * len(frames)
    data = make_apng(frames, 8, colour, times)
    # Pillow composes frames without alpha on black; by the specification, disposed areas are transparent.
    expected = frames_of(make_apng([(_as_rgba(frame[0]), *frame[1:]) for frame in frames], 8, 6, times))
    found = np.stack([_as_rgba(frame) for frame in open_photo(data, "x").decode()])
    assert np.array_equal(found[..., 3], expected[..., 3])
    seen = expected[..., 3] > 0
    assert np.array_equal(found[seen], expected[seen])


def _as_rgba(frame: np.ndarray) -> np.ndarray:
    opaque = np.full_like(frame[:, :, :1], 255)
    return frame if frame.shape[2] == 4 else np.concatenate((frame, opaque), axis=2)


def test_half_transparent_frames_are_laid_over_by_the_formula():
    rng = np.random.default_rng(0)
    below, above = (rng.integers(0, 65536, (HEIGHT, WIDTH, 4), np.uint16) for _ in range(2))
    data = make_apng([(below, 0, 0, 0, 0), (above, 0, 0, 0, 1)], 16, 6, [(1, 10)] * 2)
    found = list(open_photo(data, "x").decode())[1].astype(float)
    a, b = above[..., 3:] / 65535, below[..., 3:] / 65535
    alpha = a + b * (1 - a)
    assert np.abs(found[..., 3:] - alpha * 65535).max() <= 0.51
    colours = (above[..., :3] * a + below[..., :3] * b * (1 - a)) / alpha
    assert np.abs(found[..., :3] - colours).max() <= 0.51


def test_apng_of_16_bits_keeps_frames_and_bits(tmp_path):
    frames = [np.roll(scene(3, np.uint16), 3 * i, axis=1) for i in range(3)]
    data = make_apng([(frame, 0, 0, 0, 0) for frame in frames], 16, 2, [(1, 10)] * 3)
    record = upscale_one(data, tmp_path, "a.png")
    assert (record.frames, record.warnings) == (3, [])
    found = list(open_photo(Path(record.output).read_bytes(), "x").decode())
    for frame, expected in zip(found, frames, strict=True):
        assert frame.dtype == np.uint16
        assert np.array_equal(frame[::4, ::4], expected)
    assert np.array_equal(imagecodecs.png_decode(Path(record.output).read_bytes())[::4, ::4], frames[0])


def test_a_grey_apng_stays_grey(tmp_path):
    frames = [(np.roll(scene(1), 3 * i, axis=1), 0, 0, 0, 0) for i in range(2)]
    record = upscale_one(make_apng(frames, 8, 0, [(1, 10)] * 2), tmp_path, "a.png")
    with Image.open(record.output) as found:
        assert found.mode == "L"
        assert found.n_frames == 2


def test_a_still_picture_outside_the_animation_is_not_a_frame(tmp_path):
    frames = [(np.roll(scene(3), 3 * i, axis=1), 0, 0, 0, 0) for i in range(3)]
    data = make_apng(frames, 8, 2, [(1, 10), (2, 10), (3, 10)], still=True)
    record = upscale_one(data, tmp_path, "a.png")
    assert record.frames == 3
    assert record.warnings == ["The still image for programs that can't show animations was left out."]
    found = frames_of(Path(record.output).read_bytes())
    for index, (frame, *_) in enumerate(frames):
        assert np.array_equal(found[index, ::4, ::4, :3], frame)


def controls(file: bytes) -> list[Fraction]:
    """Duration of each frame in seconds, from the fcTL chunks."""
    at, found = 8, []
    while at < len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        if kind == b"fcTL":
            found.append(Fraction(*struct.unpack_from(">HH", file, at + 8 + 20)))
        at += 12 + length
    return found


def test_timing_that_is_no_whole_millisecond_is_exact_in_apng(tmp_path):
    times = [(1, 30), (1001, 30000), (1, 24), (100, 1), (0, 10), (7, 0)]
    frames = [(np.roll(scene(3), 3 * i, axis=1), 0, 0, 0, 0) for i in range(len(times))]
    record = upscale_one(make_apng(frames, 8, 2, times), tmp_path, "a.png")
    expected = [Fraction(above, below or 100) for above, below in times]
    assert controls(Path(record.output).read_bytes()) == expected
    with Image.open(record.output) as found:
        assert found.info["loop"] == 5


@pytest.mark.parametrize("milliseconds", [0, 1, 40, 65535, 70001, 655350, 16777215, 1000 / 30, 0.01, 123456.789])
def test_delays_fit_their_16_bits(milliseconds):
    above, below = delay(milliseconds)
    assert 0 <= above <= 65535
    assert 1 <= below <= 65535
    assert abs(1000 * above / below - milliseconds) <= 1e-4 * milliseconds + 0.01


def test_webp_keeps_the_length_of_an_animation(tmp_path):
    assert whole_milliseconds([1000 / 30] * 3) == [33, 34, 33]
    frames = [(np.roll(scene(3), i, axis=1), 0, 0, 0, 0) for i in range(30)]
    record = upscale_one(make_apng(frames, 8, 2, [(1, 30)] * 30), tmp_path, "a.png", format="webp")
    with Image.open(record.output) as found:
        total = 0
        for index in range(30):
            found.seek(index)
            found.load()
            total += found.info["duration"]
    assert total == 1000


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_animations_that_lie_on_their_side_are_turned(form, tmp_path):
    frames = [np.roll(scene(3), 5 * i, axis=1) for i in range(2)]
    options = {"lossless": True} if form == "WEBP" else {}
    more = [Image.fromarray(frames[1])]
    data = with_pillow(frames[0], form, save_all=True, append_images=more, exif=exif_with(6), duration=70, **options)
    record = upscale_one(data, tmp_path, f"a.{form.lower()}")
    assert record.output_size == (4 * HEIGHT, 4 * WIDTH)
    for index, frame in enumerate(frames_of(Path(record.output).read_bytes())):
        assert np.array_equal(frame[::4, ::4, :3], seen_upright(frames[index], 6))
    assert Image.open(record.output).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_of_one_frame_is_a_still_picture(form, tmp_path):
    picture = Image.fromarray(scene(3)).quantize(64).convert("RGB")
    options = {"lossless": True} if form == "WEBP" else {}
    data = with_pillow(picture, form, save_all=True, append_images=[], duration=70, **options)
    record = upscale_one(data, tmp_path, f"a.{form.lower()}")
    assert (record.frames, record.error) == (1, None)
    with Image.open(record.output) as found:
        assert getattr(found, "n_frames", 1) == 1
        assert np.abs(np.asarray(found.convert("RGB"))[::4, ::4].astype(int) - np.asarray(picture)).max() <= 8


def test_a_frame_outside_the_picture_is_refused():
    frames = [(scene(3), 0, 0, 0, 0), (scene(3), 1, 0, 0, 0)]
    with pytest.raises(Exception, match="extends outside the image"):
        open_photo(make_apng(frames, 8, 2, [(1, 10)] * 2), "x")


def frames_and_warnings(data: bytes, allow_truncated: bool = False) -> tuple[int, str]:
    photo = open_photo(data, "a.png", allow_truncated)
    return sum(1 for _ in photo.decode()), " ".join(photo.warnings)


MOVING = [(np.roll(scene(3), 4 * index, axis=1), 0, 0, 0, 0) for index in range(4)]


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("change", ["swap", "repeat", "drop"])
def test_frames_out_of_order_are_an_error_and_those_before_can_be_had(change, still):
    data = make_apng(MOVING, 8, 2, [(1, 10)] * 4, still)
    head, *frames = data.split(b"\0\0\0\x1afcTL")
    last = frames[-1]
    end = last[last.index(b"\0\0\0\0IEND") :]
    frames[-1] = last.removesuffix(end)
    changed = {
        "swap": [frames[0], frames[1], frames[3], frames[2]],
        "repeat": [frames[0], frames[1], frames[1], frames[3]],
        "drop": [frames[0], frames[1], frames[3]],
    }[change]
    broken = b"\0\0\0\x1afcTL".join([head, *changed]) + end
    with pytest.raises(ImageDamaged, match=r"the frames of its animation are out of order.*allow.truncated"):
        open_photo(broken, "a.png")
    assert frames_and_warnings(data) == (4, STILL if still else "")
    count, warnings = frames_and_warnings(broken, allow_truncated=True)
    assert count == 2
    assert "Its animation declares 4 frames, but 2 can be read." in warnings


STILL = "The still image for programs that can't show animations was left out."


@pytest.mark.parametrize(("deep", "colour"), [(8, 2), (8, 6), (16, 6)])
def test_an_animation_that_is_cut_off_keeps_its_whole_frames(deep, colour):
    kind = np.uint16 if deep == 16 else np.uint8
    frames = [(np.roll(scene(3 if colour == 2 else 4, kind), 4 * index, axis=1), 0, 0, 0, 0) for index in range(4)]
    data = make_apng(frames, deep, colour, [(1, 10)] * 4)
    cut = data[: data.rindex(b"fcTL") - 20]  # in the third frame's data
    with pytest.raises(ImageDamaged, match="the file ends early"):
        open_photo(cut, "a.png")
    photo = open_photo(cut, "a.png", allow_truncated=True)
    assert "Its animation declares 4 frames, but 2 can be read." in photo.warnings
    for found, (wanted, *_) in zip(photo.decode(), frames[:2], strict=True):
        assert np.array_equal(found[..., :3][wanted[..., -1] > 0], wanted[..., :3][wanted[..., -1] > 0])


def test_an_animation_that_says_another_number_of_frames_is_named():
    control = struct.pack(">II", 4, 5)
    data = make_apng(MOVING, 8, 2, [(1, 10)] * 4)
    for announced in (0, 3, 6):
        other = data.replace(chunk(b"acTL", control), chunk(b"acTL", struct.pack(">II", announced, 5)))
        count, warnings = frames_and_warnings(other)
        assert count == 4
        assert f"declares {announced} frames, but 4 can be read." in warnings


def test_an_animation_whose_control_comes_too_late_is_named():
    data = make_apng(MOVING, 8, 2, [(1, 10)] * 4, still=True)
    control = chunk(b"acTL", struct.pack(">II", 4, 5))
    late = data.replace(control, b"").replace(b"\0\0\0\x1afcTL", control + b"\0\0\0\x1afcTL", 1)
    assert frames_and_warnings(late) == (1, "Its animation of 4 frames is damaged: only its still image was used.")


def test_a_png_without_image_data_is_reported_as_such():
    data = make_apng(MOVING, 8, 2, [(1, 10)] * 4)
    start, end = data.index(b"IDAT") - 4, data.index(b"\0\0\0\x1afcTL", data.index(b"IDAT"))
    with pytest.raises(ImageDamaged, match="it has no image data"):
        open_photo(data[:start] + data[end:], "a.png")


def test_the_transparency_of_a_moving_avif_is_kept_without_a_warning():
    """It is a track of its own, as depth would be."""
    frames = [Image.fromarray(np.roll(scene(4), 4 * index, axis=1)) for index in range(3)]
    data = with_pillow(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100)
    photo = open_photo(data, "a.avif")
    assert [frame.channels for frame in photo.frames] == [4, 4, 4]
    assert photo.warnings == ()
    depth = data.replace(b":auxiliary:alpha", b":auxiliary:depth")
    assert "auxiliary tracks" in open_photo(depth, "a.avif").warnings[0]
