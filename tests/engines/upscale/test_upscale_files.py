"""Runs over files: output paths, errors before the work, failures, threads, memory."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from photo_corpus import scene, with_pillow, with_tifffile
from PIL import Image
from upscale_helpers import PNG, decoded, files, put, session_of, upscale

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.alpha import extend_colours
from gramgan_cli.core.images.photo import Frame
from gramgan_cli.core.images.write import encode
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.engines.upscale import limits, opening, pipeline


@pytest.mark.parametrize(("form", "side"), [("webp", 4100), ("jpg", 16400)])
def test_results_too_large_for_their_format(form, side, tmp_path):
    put(tmp_path / "a.png", with_pillow(np.zeros((2, side, 3), np.uint8), "PNG"))
    record = upscale([tmp_path / "a.png"], format=form)[0]
    assert f"would have {4 * side}x8 pixels" in record.error
    assert "`format` png" in record.error
    assert files(tmp_path) == ["a.png"]


def test_animations_and_pages_are_never_cut_in_silence(tmp_path):
    frames = [Image.fromarray(scene(3)), Image.fromarray(255 - scene(3))]
    put(tmp_path / "a.gif", with_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    put(tmp_path / "b.tif", with_pillow(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    errors = [record.error for record in upscale([tmp_path], format="jpg")]
    assert "a.gif is animated" in errors[0]
    assert "b.tif has 2 pages" in errors[1]


def test_max_memory_refuses_before_the_work(tmp_path):
    put(tmp_path / "a.png", with_pillow(np.zeros((3000, 3000, 3), np.uint8), "PNG"))
    record = upscale([tmp_path / "a.png"], format="jpg", max_memory=10**9)[0]
    assert "needs about" in record.error
    assert "`max_memory`" in record.error


# ---- existing results, failures, order -----------------------------------------------------------------------------


def test_max_memory_counts_what_encoders_hold(tmp_path):
    """For a result of 16 megapixels, libwebp and libavif need more than half a gigabyte; the others don't."""
    put(tmp_path / "a.png", with_pillow(scene(3, height=1000, width=1000), "PNG"))
    session = session_of("nearest", 64)
    refused = {}
    for form in ("png", "tiff", "jpg", "webp", "avif"):
        options = {"format": form, "max_memory": 1200 * 2**20, "size": SizeChoice(fit=(8000, 4000))}
        record = upscale([tmp_path / "a.png"], tmp_path / "out", session=session, **options)[0]
        refused[form] = record.error is not None and "`max_memory`" in record.error
    assert refused == {"png": False, "tiff": False, "jpg": False, "webp": True, "avif": True}


def test_with_limited_memory_one_picture_is_in_memory_at_a_time(tmp_path, monkeypatch):
    opened, written = [], []
    real_open, real_write = opening.open_photo, pipeline.encode

    def open_photo(data, name, lenient):
        opened.append((Path(name).stem, list(written)))
        return real_open(data, name, lenient)

    def encode(target, frames, file):
        real_write(target, frames, file)
        time.sleep(0.05)  # gives others time to begin
        written.append(len(written))

    monkeypatch.setattr(opening, "open_photo", open_photo)
    monkeypatch.setattr(pipeline, "encode", encode)
    for name in "abc":
        put(tmp_path / f"{name}.png")
    records = upscale([tmp_path], tmp_path / "out", max_memory=10**10)
    assert not any(record.error for record in records)
    assert opened == [("a", []), ("b", [0]), ("c", [0, 1])]


def test_colours_under_transparency_count_as_memory(tmp_path):
    """The estimate covers the memory used, with at most a quarter to spare."""
    picture = np.random.default_rng(1).integers(0, 256, (800, 1000, 4), np.uint8)
    picture[:, :700, 3] = 0
    extend_colours(picture)  # imports SciPy
    tracemalloc.start()
    extend_colours(picture)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    counted = limits.alpha_memory(Frame(1000, 800, 4, picture.dtype))
    assert taken <= counted <= 1.25 * taken
    assert limits.alpha_memory(Frame(1000, 800, 3, picture.dtype)) == 0


def test_too_little_memory_costs_one_picture(tmp_path, monkeypatch):
    real = opening.open_photo

    def open_photo(data, name, lenient):
        if Path(name).stem == "b":
            raise MemoryError
        return real(data, name, lenient)

    monkeypatch.setattr(opening, "open_photo", open_photo)
    for name in "abc":
        put(tmp_path / f"{name}.png")
    records = upscale([tmp_path], tmp_path / "out")
    assert ["more memory" in (record.error or "") for record in records] == [False, True, False]
    assert files(tmp_path / "out") == ["a_x4.png", "c_x4.png"]


def test_no_input_is_replaced_though_its_name_is_met_by_content_only(tmp_path):
    """Two pages stay TIFF, so the result of scan.tif is scan_x4.tif and not the PNG that its name suggests."""
    page = Image.fromarray(scene(3))
    put(tmp_path / "scan.tif", with_pillow(page, "TIFF", save_all=True, append_images=[page]))
    other = put(tmp_path / "scan_x4.tif", with_pillow(page, "TIFF")).read_bytes()
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "scan.tif", tmp_path / "scan_x4.tif"], overwrite=True)
    assert (tmp_path / "scan_x4.tif").read_bytes() == other


def test_existing_results_are_kept_replaced_or_skipped(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "a_x4.png", b"old")
    record = upscale([tmp_path / "a.png"])[0]
    assert "already exists" in record.error
    assert (tmp_path / "a_x4.png").read_bytes() == b"old"
    record = upscale([tmp_path / "a.png"], skip_existing=True)[0]
    assert record.skipped
    assert (tmp_path / "a_x4.png").read_bytes() == b"old"
    assert upscale([tmp_path / "a.png"], overwrite=True)[0].error is None
    assert decoded(tmp_path / "a_x4.png").shape == (84, 136, 3)


def test_a_failed_picture_does_not_stop_the_others(tmp_path):
    for index in range(6):
        put(tmp_path / f"{index}.png", PNG if index % 3 else PNG[: len(PNG) // 2])
    records = upscale([tmp_path], tmp_path / "out")
    assert [record.error is None for record in records] == [False, True, True, False, True, True]
    assert [Path(record.input).name for record in records] == [f"{index}.png" for index in range(6)]
    assert files(tmp_path / "out") == ["1_x4.png", "2_x4.png", "4_x4.png", "5_x4.png"]


def test_a_disk_that_fills_up_fails_that_picture_and_leaves_nothing(tmp_path, monkeypatch):
    for index in range(3):
        put(tmp_path / f"{index}.png")

    def full_once(target, frames, file):
        if full_once.calls == 1:
            full_once.calls += 1
            for frame in frames:
                next(iter(frame))
                raise OSError(28, "No space left on device")
        full_once.calls += 1
        encode(target, frames, file)

    full_once.calls = 0
    monkeypatch.setattr(pipeline, "encode", full_once)
    records = upscale([tmp_path], tmp_path / "out")
    assert [record.error is None for record in records] == [True, False, True]
    assert "1_x4.png: No space left on device" in records[1].error
    assert files(tmp_path / "out") == ["0_x4.png", "2_x4.png"]


@pytest.mark.parametrize("error", [ValueError("encoder error 9"), MemoryError(), SystemError("odd")])
def test_an_encoder_that_fails_fails_that_picture_only(error, tmp_path, monkeypatch):
    for index in range(3):
        put(tmp_path / f"{index}.png")

    def failing(target, frames, file):
        encode(target, frames, file)
        if "1_x4" in str(file.name):
            raise error

    monkeypatch.setattr(pipeline, "encode", failing)
    records = upscale([tmp_path], tmp_path / "out")
    assert [record.error is None for record in records] == [True, False, True]
    assert "1_x4.png as PNG" in records[1].error
    assert files(tmp_path / "out") == ["0_x4.png", "2_x4.png"]


def test_a_device_that_fails_is_named_and_the_others_are_tried(tmp_path, monkeypatch):
    for index in range(3):
        put(tmp_path / f"{index}.png")
    session = session_of("nearest")
    real, calls = session.source.bands, []

    def failing(image):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("driver shut down\nmore lines")
        return real(image)

    monkeypatch.setattr(session.source, "bands", failing)
    records = upscale([tmp_path], tmp_path / "out", session=session)
    assert [record.error is None for record in records] == [True, False, True]
    assert "1.png: the device cpu failed (driver shut down)." in records[1].error
    assert files(tmp_path / "out") == ["0_x4.png", "2_x4.png"]


def test_interrupted_in_the_middle_nothing_half_written_stays(tmp_path, monkeypatch):
    for index in range(4):
        put(tmp_path / f"{index}.png")
    session = session_of("nearest", 16)
    real = session.source.bands

    def interrupted(image):
        for number, band in enumerate(real(image)):
            if len(seen) == 2 and number == 1:
                raise KeyboardInterrupt
            yield band
        seen.append(image)

    seen: list[np.ndarray] = []
    monkeypatch.setattr(session.source, "bands", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upscale([tmp_path], tmp_path / "out", session=session)
    assert files(tmp_path / "out") == ["0_x4.png", "1_x4.png"]
    monkeypatch.undo()
    records = upscale([tmp_path], tmp_path / "out", skip_existing=True)
    assert [record.skipped for record in records] == [True, True, False, False]


def test_decoding_and_encoding_run_beside_the_network(tmp_path, monkeypatch):
    """By time stamps, the next picture is read and the previous one written while the network runs."""
    for index in range(4):
        put(tmp_path / f"{index}.png")
    events: list[tuple[str, float, float]] = []

    def timed(name, function):
        def run(*arguments):
            start = time.perf_counter()
            time.sleep(0.15)
            result = function(*arguments)
            events.append((name, start, time.perf_counter()))
            return result

        return run

    monkeypatch.setattr(opening, "open_photo", timed("read", opening.open_photo))
    monkeypatch.setattr(pipeline, "encode", timed("write", pipeline.encode))
    session = session_of("nearest")
    real = session.source.bands
    monkeypatch.setattr(session.source, "bands", lambda image: iter(timed("work", lambda: list(real(image)))()))
    assert all(record.error is None for record in upscale([tmp_path], tmp_path / "out", session=session))

    def overlap(a: str, b: str) -> bool:
        return any(
            s < other_e and other_s < e
            for name, s, e in events
            for other, other_s, other_e in events
            if name == a and other == b
        )

    assert overlap("read", "work")
    assert overlap("write", "work")
    assert threading.active_count() < 20


def test_leftovers_of_killed_runs_are_cleared_when_old(tmp_path):
    put(tmp_path / "a.png")
    old, young = put(tmp_path / ".a_x4.png.abc.gramgan.part"), put(tmp_path / ".a_x4.png.def.gramgan.part")
    another = put(tmp_path / ".big-download.zip.part")
    for path in (old, another):
        os.utime(path, (1, 1))
    upscale([tmp_path / "a.png"])
    assert not old.exists()
    assert another.exists(), "it is another program's"
    assert young.exists(), "it may belong to a run that goes on"


# ---- floats --------------------------------------------------------------------------------------------------------


def test_floats_beyond_the_range_come_back_and_nan_stays_nan(tmp_path):
    image = scene(3, np.float32) * 5 - 1
    image[3, 4, 1] = np.nan
    source = put(tmp_path / "a.tif", with_tifffile(image))
    record = upscale([source])[0]
    found = decoded(Path(record.output))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[::4, ::4], image)
    assert any("not finite" in warning for warning in record.warnings)
    record = upscale([source], session=session_of("clean"), overwrite=True)[0]
    found = decoded(Path(record.output))
    assert np.array_equal(np.isnan(found), np.repeat(np.repeat(np.isnan(image), 4, 0), 4, 1))
    means = np.nan_to_num(found).reshape(21, 4, 34, 4, 3).mean(axis=(1, 3))
    assert np.abs(means - np.nan_to_num(image))[2:-2, 2:-2].max() < 0.5
    assert any("scaled to 0..1" in warning for warning in record.warnings)


def test_floats_to_png_become_16_bit(tmp_path):
    record = upscale([put(tmp_path / "a.tif", with_tifffile(scene(3, np.float32)))], format="png")[0]
    found = decoded(Path(record.output))
    assert found.dtype == np.uint16
    assert np.abs(found[::4, ::4] - scene(3, np.float32) * 65535.0).max() <= 0.51
    assert record.warnings == ["Floating point samples were reduced to 16-bit: PNG can't store more."]


def test_memory_does_not_grow_with_the_result(tmp_path):
    """27 MB more of result take little more memory: the input's 1.7 MB twice, and three bands of 0.8 MB that wait."""
    import tracemalloc

    peaks = []
    for height in (400, 1500):
        name = f"{height}.png"
        put(tmp_path / name, with_pillow(np.random.default_rng(0).integers(0, 9, (height, 512, 3), np.uint8), "PNG"))
        tracemalloc.start()
        record = upscale([tmp_path / name], session=session_of("nearest", 32))[0]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert record.output_size == (2048, 4 * height)
    assert peaks[1] - peaks[0] < 6e6
