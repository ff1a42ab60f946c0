"""Runs over files: where results go, what is refused before the work, failures, threads, memory."""

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
from upscale_helpers import decoded, session_of, upscale

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.images.alpha import extend_colours
from gramgan_cli.core.images.photo import Frame
from gramgan_cli.core.images.write import encode
from gramgan_cli.core.resize.rows import resized_bands
from gramgan_cli.core.resize.sizes import SizeChoice
from gramgan_cli.engines.upscale import limits, opening, pipeline

PNG = with_pillow(scene(3), "PNG")
JPEG = with_pillow(scene(3), "JPEG")


def put(path: Path, data: bytes = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)).replace(os.sep, "/") for path in folder.rglob("*") if path.is_file())


# ---- where results go ----------------------------------------------------------------------------------------------


def test_results_lie_beside_their_sources(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.JPG", JPEG)
    put(tmp_path / "c.bmp", with_pillow(scene(3), "BMP"))
    upscale([tmp_path])
    assert files(tmp_path) == ["a.png", "a_x4.png", "b.JPG", "b_x4.JPG", "c.bmp", "c_x4.png"]


def test_a_second_run_does_not_enlarge_its_own_results(tmp_path):
    put(tmp_path / "a.png")
    upscale([tmp_path])
    records = upscale([tmp_path], overwrite=True)
    assert [Path(record.input).name for record in records] == ["a.png"]


def test_results_in_another_format_are_not_enlarged_either(tmp_path):
    put(tmp_path / "a.png")
    upscale([tmp_path], format="jpg")
    records = upscale([tmp_path])
    assert [Path(record.input).name for record in records] == ["a.png"]
    assert files(tmp_path) == ["a.png", "a_x4.jpg", "a_x4.png"]


def test_results_in_a_folder_inside_the_source_are_not_enlarged_again(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "one" / "b.png")
    for form in ("png", "jpg"):
        upscale([tmp_path], tmp_path / "large", recursive=True, format=form)
    assert files(tmp_path / "large") == ["a_x4.jpg", "a_x4.png", "one/b_x4.jpg", "one/b_x4.png"]


def test_recursive_mirrors_the_tree(tmp_path):
    for name in ("a.png", "one/a.png", "one/two/b.png", "one/notes.txt", ".hidden/c.png"):
        put(tmp_path / "in" / name)
    upscale([tmp_path / "in"], tmp_path / "out", recursive=True)
    assert files(tmp_path / "out") == ["a_x4.png", "one/a_x4.png", "one/two/b_x4.png"]
    upscale([tmp_path / "in"], tmp_path / "flat")
    assert files(tmp_path / "flat") == ["a_x4.png"]


def test_one_picture_to_a_named_file_takes_its_format(tmp_path):
    put(tmp_path / "a.png")
    record = upscale([tmp_path / "a.png"], tmp_path / "deep" / "result.webp")[0]
    assert record.output == str(tmp_path / "deep" / "result.webp")
    assert Image.open(record.output).format == "WEBP"


def test_globs(tmp_path):
    for name in ("a1.png", "a2.png", "b.png"):
        put(tmp_path / name)
    upscale([str(tmp_path / "a?.png")], tmp_path / "out")
    assert files(tmp_path / "out") == ["a1_x4.png", "a2_x4.png"]


def test_a_picture_that_is_named_twice_is_done_once(tmp_path):
    put(tmp_path / "a.png")
    assert len(upscale([tmp_path / "a.png", tmp_path / "a.png", tmp_path])) == 1


def test_templates(tmp_path):
    put(tmp_path / "a.png")
    record = upscale([tmp_path / "a.png"], template="{stem}-{model}-{ext}-by{scale}")[0]
    assert Path(record.output).name == "a-nearest-png-by4.png"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{name}", "no field {name}"),
        ("a/b", "without folders"),
        ("{stem", "can't be read"),
        ("", "without folders"),
        ("{stem:d}", "can't be read"),
        ("{stem}.{ext}", r"Leave out \.{ext}"),
        ("{stem}.JPG", r"Leave out \.JPG"),
    ],
)
def test_impossible_templates(template, said, tmp_path):
    put(tmp_path / "a.png")
    with pytest.raises(UsageError, match=said):
        upscale([tmp_path / "a.png"], template=template)


@pytest.mark.parametrize("name", ["ünï çødé 日本語 🎈.png", "with space.png", "-x.png", "a.b.c.png", "q'uote\".png"])
def test_names_of_any_kind(name, tmp_path):
    record = upscale([put(tmp_path / name)])[0]
    assert record.error is None
    assert Path(record.output).name == name.removesuffix(".png") + "_x4.png"


@pytest.mark.parametrize("character", ["a", "é", "日"])
def test_the_longest_name_is_shortened_not_refused(character, tmp_path):
    name = character * ((255 - 4) // len(character.encode())) + ".png"
    record = upscale([put(tmp_path / name)])[0]
    assert record.error is None
    assert Path(record.output).is_file()


def test_links_are_followed_and_not_replaced(tmp_path):
    put(tmp_path / "real" / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real" / "a.png")
    record = upscale([tmp_path / "link.png"])[0]
    assert record.output == str(tmp_path / "link_x4.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(GramganError, match=r"dangling\.png is a link to nothing"):
        upscale([tmp_path / "dangling.png"])


def test_a_folder_that_is_called_like_a_picture(tmp_path):
    put(tmp_path / "in" / "x.png" / "inside.png")
    put(tmp_path / "in" / "a.png")
    upscale([tmp_path / "in"], tmp_path / "out")
    assert files(tmp_path / "out") == ["a_x4.png"]
    (tmp_path / "in" / "a_x4.png").mkdir()
    record = upscale([tmp_path / "in" / "a.png"])[0]
    assert "a_x4.png is a folder" in record.error


# ---- what is refused before the work -------------------------------------------------------------------------------


def test_two_inputs_for_one_result(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "a.bmp", with_pillow(scene(3), "BMP"))
    with pytest.raises(GramganError, match=r"a\.bmp and .*a\.png would both be written to .*a_x4\.png"):
        upscale([tmp_path])
    assert files(tmp_path) == ["a.bmp", "a.png"]
    assert all(r.error is None for r in upscale([tmp_path], template="{stem}_{ext}_x4"))


def test_two_inputs_whose_contents_lead_to_one_result(tmp_path):
    """The name says PNG, the content JPEG: only the content decides, and nothing is begun."""
    put(tmp_path / "a.png", JPEG)
    put(tmp_path / "a.jpg", JPEG)
    for options in ({}, {"overwrite": True}, {"skip_existing": True}):
        with pytest.raises(GramganError, match=r"a\.jpg and .*a\.png would both be written to .*a_x4\.jpg"):
            upscale([tmp_path], **options)
    assert files(tmp_path) == ["a.jpg", "a.png"]
    put(tmp_path / "a.jpg", PNG)
    put(tmp_path / "a.png", PNG)
    with pytest.raises(GramganError, match="would both be written"):
        upscale([tmp_path])


def test_names_alone_do_not_collide(tmp_path):
    """Two pages stay TIFF: beside a PNG of that name their result has a place of its own."""
    page = Image.fromarray(scene(3))
    put(tmp_path / "a.tif", with_pillow(page, "TIFF", save_all=True, append_images=[page]))
    put(tmp_path / "a.png")
    assert all(result.error is None for result in upscale([tmp_path]))
    assert files(tmp_path) == ["a.png", "a.tif", "a_x4.png", "a_x4.tif"]


def test_a_result_never_replaces_an_input(tmp_path):
    put(tmp_path / "a.png")
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "a.png"], template="{stem}", overwrite=True)
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "a.png"], tmp_path / "a.png", overwrite=True)
    (tmp_path / "other.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "a.png"], tmp_path / "other.png", overwrite=True)
    put(tmp_path / "a.bmp", with_pillow(scene(3), "BMP"))
    put(tmp_path / "a_x4.png")
    for inputs, template in (((".bmp", ".png"), "{stem}"), ((".png", "_x4.png"), "{stem}_x{scale}")):
        with pytest.raises(GramganError, match="would replace the input"):
            upscale([tmp_path / f"a{end}" for end in inputs], template=template, overwrite=True)
    assert (tmp_path / "a_x4.png").read_bytes() == PNG
    assert (tmp_path / "a.png").read_bytes() == PNG


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path):
    put(tmp_path / "in" / "b.png")
    os.mkfifo(tmp_path / "in" / "a.png")
    bad, good = upscale([tmp_path / "in"], tmp_path / "out")
    assert "a.png is not a regular file" in bad.error
    assert good.error is None


def test_an_empty_name_is_not_the_current_folder(tmp_path, monkeypatch):
    put(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="empty name"):
        upscale([""])
    assert files(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["nothing.png", "no*thing"])
def test_missing_inputs(name, tmp_path):
    with pytest.raises(GramganError, match="There is no file or folder"):
        upscale([tmp_path / name])


def test_folders_without_pictures(tmp_path):
    put(tmp_path / "sub" / "a.png")
    with pytest.raises(GramganError, match=r"no picture in the folder .*--recursive"):
        upscale([tmp_path])


def test_outputs_that_make_no_sense(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.png")
    with pytest.raises(UsageError, match="several pictures"):
        upscale([tmp_path], tmp_path / "one.png")
    with pytest.raises(UsageError, match=r"does not write '\.xyz'"):
        upscale([tmp_path / "a.png"], tmp_path / "one.xyz")
    with pytest.raises(UsageError, match="--format says jpg"):
        upscale([tmp_path / "a.png"], tmp_path / "one.png", format="jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_found_before_the_work(tmp_path):
    put(tmp_path / "a.png")
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(GramganError, match="Can't write to the folder"):
        upscale([tmp_path / "a.png"], tmp_path / "out")


def test_a_folder_that_can_not_be_made_is_found_before_the_work(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "file")
    with pytest.raises(GramganError, match="Can't write to the folder"):
        upscale([tmp_path / "a.png"], tmp_path / "file" / "out")


@pytest.mark.parametrize(("form", "side"), [("webp", 4100), ("jpg", 16400)])
def test_results_too_large_for_their_format(form, side, tmp_path):
    put(tmp_path / "a.png", with_pillow(np.zeros((2, side, 3), np.uint8), "PNG"))
    record = upscale([tmp_path / "a.png"], format=form)[0]
    assert f"would have {4 * side}x8 pixels" in record.error
    assert "--format png" in record.error
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
    assert "--max-memory" in record.error


# ---- existing results, failures, order -----------------------------------------------------------------------------


def test_max_memory_counts_what_encoders_hold(tmp_path):
    """16 megapixels of result: libwebp and libavif hold more than half a gigabyte, the others do not."""
    put(tmp_path / "a.png", with_pillow(scene(3, height=1000, width=1000), "PNG"))
    session = session_of("nearest", 64)
    refused = {}
    for form in ("png", "tiff", "jpg", "webp", "avif"):
        options = {"format": form, "max_memory": 1200 * 2**20, "size": SizeChoice(fit=(8000, 4000))}
        record = upscale([tmp_path / "a.png"], tmp_path / "out", session=session, **options)[0]
        refused[form] = record.error is not None and "--max-memory" in record.error
    assert refused == {"png": False, "tiff": False, "jpg": False, "webp": True, "avif": True}


def test_with_limited_memory_one_picture_is_in_memory_at_a_time(tmp_path, monkeypatch):
    opened, written = [], []
    real_open, real_write = opening.open_photo, pipeline.encode

    def open_photo(data, name, lenient):
        opened.append((Path(name).stem, list(written)))
        return real_open(data, name, lenient)

    def encode(target, frames, file):
        real_write(target, frames, file)
        time.sleep(0.05)  # others have time to begin
        written.append(len(written))

    monkeypatch.setattr(opening, "open_photo", open_photo)
    monkeypatch.setattr(pipeline, "encode", encode)
    for name in "abc":
        put(tmp_path / f"{name}.png")
    records = upscale([tmp_path], tmp_path / "out", max_memory=10**10)
    assert not any(record.error for record in records)
    assert opened == [("a", []), ("b", [0]), ("c", [0, 1])]


def test_hidden_colours_count_as_memory(tmp_path):
    """What is allowed for them is what they take, with a quarter to spare at most."""
    picture = np.random.default_rng(1).integers(0, 256, (800, 1000, 4), np.uint8)
    picture[:, :700, 3] = 0
    extend_colours(picture)  # loads SciPy
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
    """Two pages stay TIFF, so the result of scan.tif is scan_x4.tif, not the PNG that its name lets expect."""
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
    assert "exists already" in record.error
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
    """While the network works on one picture, the next is read and the one before is written: by time stamps."""
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


# ---- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (SizeChoice(), (136, 84)),
        (SizeChoice(factor=2.5), (85, 52)),
        (SizeChoice(width=100), (100, 62)),
        (SizeChoice(height=42), (68, 42)),
        (SizeChoice(width=50, height=50), (50, 50)),
        (SizeChoice(fit=(100, 100)), (100, 62)),
        (SizeChoice(fit=(1000, 42)), (68, 42)),
        (SizeChoice(factor=0.01), (1, 1)),
    ],
)
def test_sizes(choice, expected, tmp_path):
    assert choice.of(34, 21, 4) == expected
    record = upscale([put(tmp_path / "a.png")], size=choice)[0]
    assert record.output_size == expected
    assert Image.open(record.output).size == expected


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (SizeChoice(width=68), "a_68x42.png"),
        (SizeChoice(height=42), "a_68x42.png"),
        (SizeChoice(width=50, height=60), "a_50x60.png"),
        (SizeChoice(fit=(340, 1000)), "a_340x210.png"),
        (SizeChoice(2.5), "a_x2.5.png"),
    ],
)
def test_a_result_is_called_by_its_size(choice, name, tmp_path):
    """The picture has 34 x 21 pixels."""
    put(tmp_path / "a.png")
    upscale([tmp_path])
    result = upscale([tmp_path], size=choice)[0]
    assert (Path(result.output).name, result.error) == (name, None)
    assert files(tmp_path) == sorted(["a.png", "a_x4.png", name]), "the other result is neither input nor replaced"
    distorted = any("other proportions" in warning for warning in result.warnings)
    assert distorted == (choice.width is not None and choice.height is not None)


def test_a_quality_that_changes_nothing_is_said(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.jpg", JPEG)
    png, jpg = upscale([tmp_path], quality=70)
    assert any("quality" in warning for warning in png.warnings)
    assert jpg.warnings == []


def test_more_than_the_model_gives_is_said(tmp_path):
    record = upscale([put(tmp_path / "a.png")], size=SizeChoice(factor=6))[0]
    assert record.warnings == ["The model enlarges by 4; the rest is bicubic interpolation."]


def keys_matrix(old: int, new: int) -> np.ndarray:
    """(new, old) weights of Keys' cubic, stretched when reducing, mirrored at the edges: written out in float64."""
    matrix = np.zeros((new, old))
    stretch = max(1.0, old / new)
    for row in range(new):
        centre = (row + 0.5) * old / new - 0.5
        for place in range(int(centre - 2 * stretch) - 2, int(centre + 2 * stretch) + 3):
            x = abs(centre - place) / stretch
            weight = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0
            inside = place % (2 * old)
            matrix[row, inside if inside < old else 2 * old - 1 - inside] += weight
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("new", [(13, 20), (37, 51), (90, 90), (1, 1), (40, 7)])
def test_resizing_band_by_band_equals_the_formula(dtype, new):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (41, 33, 3)).astype(dtype)
    expected = np.einsum("ij,kl,jlc->ikc", keys_matrix(41, new[0]), keys_matrix(33, new[1]), image.astype(float))
    expected = np.clip(expected, 0, np.iinfo(dtype).max)
    for rows in (1, 8, 41):
        bands = [image[start : start + rows] for start in range(0, 41, rows)]
        found = np.concatenate(list(resized_bands(bands, (41, 33), new)))
        assert found.shape == (*new, 3)
        assert np.abs(found - expected).max() <= (0.51 if dtype == np.uint8 else 0.6)


@pytest.mark.parametrize(("old", "new"), [(40, 25), (40, 70), (40, 10)])
def test_resizing_that_wraps_equals_the_middle_of_a_repeated_picture(old, new):
    image = np.random.default_rng(0).integers(0, 256, (old, old, 3), np.uint8)
    matrix = keys_matrix(3 * old, 3 * new)[new : 2 * new]
    repeated = np.tile(image, (3, 3, 1)).astype(float)
    expected = np.clip(np.einsum("ij,kl,jlc->ikc", matrix, matrix, repeated), 0, 255)
    bands = [image[start : start + 7] for start in range(0, old, 7)]
    found = np.concatenate(list(resized_bands(bands, (old, old), (new, new), "wrap")))
    assert np.abs(found - expected).max() <= 0.51


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
    assert record.warnings == ["Floating point samples were reduced to 16-bit: PNG holds no more."]


def test_memory_does_not_grow_with_the_result(tmp_path):
    """Two tall pictures: 27 MB more of result, and only the input's 2 MB (held twice at most) more of memory."""
    import tracemalloc

    peaks = []
    for height in (400, 1500):
        name = f"{height}.png"
        put(tmp_path / name, with_pillow(np.random.default_rng(0).integers(0, 9, (height, 512, 3), np.uint8), "PNG"))
        tracemalloc.start()
        record = upscale([tmp_path / name], session=session_of("nearest", 64))[0]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert record.output_size == (2048, 4 * height)
    assert peaks[1] - peaks[0] < 6e6
