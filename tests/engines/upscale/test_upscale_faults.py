"""Kills at random moments, a full disk, concurrent processes: results are absent or complete, and a rerun finishes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from photo_corpus import make_png, scene, with_pillow, with_tifffile
from PIL import Image
from upscale_helpers import decoded

PHOTOS = 50


def photos(folder: Path, count: int = PHOTOS) -> Path:
    """Mixed pictures, large enough that kills often happen during writing."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        image = rng.integers(0, 256, (120, 160, 3), np.uint8)
        kind = ("png", "jpg", "webp", "tif")[index % 4]
        data = {
            "png": lambda image=image: with_pillow(image, "PNG"),
            "jpg": lambda image=image: with_pillow(image, "JPEG"),
            "webp": lambda image=image: with_pillow(image, "WEBP"),
            "tif": lambda image=image: with_tifffile(image.astype(np.uint16) * 257),
        }[kind]()
        (folder / f"{index:02}.{kind}").write_bytes(data)
    return folder


def start(source: Path, target: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gramgan_cli", "upscale", str(source), "-o", str(target), "--model", "lanczos"]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def results(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def assert_complete(paths: list[Path]) -> None:
    for path in paths:
        assert decoded(path).shape == (480, 640, 3), path.name


@pytest.mark.slow
def test_killed_twenty_times_every_result_is_absent_or_complete(tmp_path):
    source = photos(tmp_path / "in")
    reference = tmp_path / "reference"
    assert start(source, reference).wait(timeout=300) == 0
    expected = {path.name: path.read_bytes() for path in results(reference)}
    assert len(expected) == PHOTOS
    rng = random.Random(5)
    cut_short, leftovers = 0, 0
    for attempt in range(20):
        target = tmp_path / f"out{attempt}"
        process = start(source, target)
        while process.poll() is None and not (target.is_dir() and results(target)):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
        process.communicate()
        found = results(target)
        assert_complete(found)
        leftovers += len(list(target.glob(".*.part")))
        cut_short += len(found) < PHOTOS
        rerun = start(source, target, "--skip-existing")
        assert rerun.wait(timeout=300) == 0
        assert {path.name: path.read_bytes() for path in results(target)} == expected
        shutil.rmtree(target)
    print(f"{cut_short} of 20 runs were cut short, {leftovers} unfinished files were left behind")
    assert cut_short >= 10, "most kills came too late to show anything"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that can be caught")
def test_a_terminated_run_leaves_nothing_unfinished(tmp_path):
    source, target = photos(tmp_path / "in", 24), tmp_path / "out"
    process = start(source, target)
    while process.poll() is None and not (target.is_dir() and results(target)):
        time.sleep(0.01)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Stopped after" in errors
    assert not list(target.glob(".*.part"))
    assert 0 < len(results(target)) < 24
    assert_complete(results(target))
    assert start(source, target, "--skip-existing").wait(timeout=300) == 0
    assert len(results(target)) == 24


@pytest.mark.slow
def test_two_processes_on_one_folder(tmp_path):
    source, target = photos(tmp_path / "in"), tmp_path / "out"
    both = [start(source, target, "--skip-existing") for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert len(results(target)) == PHOTOS
    assert_complete(results(target))
    assert not list(target.glob(".*.part"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a tmpfs")
def test_a_full_disk_is_one_sentence_per_picture_and_leaves_nothing(tmp_path):
    target = tmp_path / "small"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(target)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("may not mount a tmpfs here")
    try:
        process = start(photos(tmp_path / "in", 12), target)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1
        assert b"No space left on device" in errors
        assert b"Traceback" not in errors
        assert_complete(results(target))
        assert 0 < len(results(target)) < 12
        assert not list(target.glob(".*.part"))
        again = start(tmp_path / "in", target, "--skip-existing")
        _, errors = again.communicate(timeout=300)
        assert b"failed" in errors or b"Can't write" in errors
    finally:
        subprocess.run(["umount", str(target)], check=True)


def with_alpha(image: np.ndarray) -> np.ndarray:
    return np.dstack((image, image[:, :, :1]))


def animated(image: np.ndarray, form: str) -> bytes:
    frames = [Image.fromarray(np.roll(image, 3 * i, axis=1)) for i in range(3)]
    return with_pillow(frames[0], form, save_all=True, append_images=frames[1:], duration=80)


KINDS = [
    ("png", lambda i: with_pillow(i, "PNG")),
    ("png", lambda i: make_png(i.astype(np.uint16) * 257, 16, 2)),
    ("png", lambda i: with_pillow(Image.fromarray(i).convert("L"), "PNG")),
    ("png", lambda i: with_pillow(Image.fromarray(i).quantize(64), "PNG")),
    ("png", lambda i: with_pillow(with_alpha(i), "PNG")),
    ("png", lambda i: make_png(i, 8, 2, interlaced=True)),
    ("png", lambda i: animated(i, "PNG")),
    ("jpg", lambda i: with_pillow(i, "JPEG")),
    ("jpg", lambda i: with_pillow(i, "JPEG", progressive=True)),
    ("jpg", lambda i: with_pillow(Image.fromarray(i).convert("L"), "JPEG")),
    ("jpg", lambda i: with_pillow(Image.fromarray(i).convert("CMYK"), "JPEG")),
    ("webp", lambda i: with_pillow(i, "WEBP")),
    ("webp", lambda i: with_pillow(with_alpha(i), "WEBP", lossless=True)),
    ("webp", lambda i: animated(i, "WEBP")),
    ("tif", lambda i: with_tifffile(i)),
    ("tif", lambda i: with_tifffile(i.astype(np.uint16) * 257, tile=(16, 16), compression="zlib")),
    ("tif", lambda i: with_tifffile((i / 255).astype(np.float32))),
    ("tif", lambda i: animated(i, "TIFF")),
    ("gif", lambda i: animated(i, "GIF")),
    ("bmp", lambda i: with_pillow(i, "BMP")),
    ("ppm", lambda i: with_pillow(i, "PPM")),
    ("avif", lambda i: with_pillow(i, "AVIF")),
]
"""File ending, and a function that encodes a picture in one of the format's variants."""

DAMAGES = [
    ("cut.png", lambda d: d[: len(d) // 2]),
    ("empty.png", lambda _: b""),
    ("text.png", lambda _: b"this is no picture\n" * 50),
    ("bomb.png", lambda d: d[:16] + b"\0\1\0\0\0\1\0\0" + d[24:]),
    ("header.png", lambda d: b"\x89PNG\r\n\x1a\n" + d[30:]),
    ("checksum.png", lambda d: d[:60] + bytes([d[60] ^ 255]) + d[61:]),
    ("zip.jpg", lambda _: b"PK\3\4" + bytes(300)),
    ("cut.tif", lambda d: b"II*\0\x08\0\0\0\xff\xff" + d[:50]),
    ("cut.webp", lambda d: b"RIFF\xff\xff\0\0WEBPVP8 " + d[:80]),
    ("cut.gif", lambda _: b"GIF89a\x10\0\x10\0\x80\0\0"),
]
"""File name, and a function that damages an intact PNG."""

BROKEN = 10


def mixed_folder(folder: Path, photos_from: Path) -> Path:
    """200 pictures in all formats made from real photographs; ten are broken, each differently."""
    folder.mkdir()
    sources = sorted(photos_from.glob("*.jpg")) + sorted(photos_from.glob("*.webp"))
    rng = random.Random(7)

    def crop(index: int) -> np.ndarray:
        with Image.open(sources[index % len(sources)]) as photo:
            photo.draft("RGB", (400, 400))
            image = photo.convert("RGB")
        x, y = rng.randrange(max(1, image.width - 80)), rng.randrange(max(1, image.height - 60))
        return np.asarray(image.crop((x, y, x + 80, y + 60)))

    assert len(DAMAGES) == BROKEN
    for index in range(200 - BROKEN):
        suffix, make = KINDS[index % len(KINDS)]
        (folder / f"{index:03}.{suffix}").write_bytes(make(crop(index)))
    whole = with_pillow(crop(0), "PNG")
    for name, damage in DAMAGES:
        (folder / f"broken_{name}").write_bytes(damage(whole))
    return folder


@pytest.mark.slow
def test_a_mixed_folder_of_200_gives_190_results_and_10_named_errors(shared_data, tmp_path):
    source, target = mixed_folder(tmp_path / "in", shared_data / "train"), tmp_path / "out"
    assert len(list(source.iterdir())) == 200
    process = start(source, target, "--output-template", "{stem}_{ext}_x{scale}")
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 1, errors
    assert len(output.splitlines()) == 190
    assert len(results(target)) == 190
    message = errors.decode()
    assert "190 upscaled, 0 skipped, 10 failed." in message
    for path in source.glob("broken_*"):
        assert message.count(f"failed: {path}\n") == 1
        assert message.count(path.name) >= 2
    assert message.count("Error:") == 10
    assert "Traceback" not in message
    for path in results(target):
        if path.suffix == ".tif":
            with tifffile.TiffFile(path) as pages:
                assert pages.pages[-1].asarray().shape[:2] == (240, 320)
        else:
            with Image.open(path) as found:
                found.seek(getattr(found, "n_frames", 1) - 1)
                found.load()
                assert found.size == (320, 240)


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("GRAMGAN_LARGE_TESTS") is None, reason="set GRAMGAN_LARGE_TESTS: needs minutes, 5 GB"
)
def test_a_hundred_megapixels(tmp_path):
    """10 000 x 10 000 pixels to a PNG of 1.6 gigapixels: peak memory, measured from outside, is under 4 GB."""
    Image.fromarray(scene(3, height=10000, width=10000)).save(tmp_path / "large.png", compress_level=1)
    # An intermediate process, since getrusage of a child includes the memory of the process that forked it.
    between = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    upscale = [sys.executable, "-m", "gramgan_cli", "upscale", str(tmp_path / "large.png"), "--model", "lanczos"]
    command = [sys.executable, "-c", between, *upscale, "-o", str(tmp_path / "large_x4.png"), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=True)
    assert int(done.stdout.splitlines()[-1]) < 4 * 2**20
    Image.MAX_IMAGE_PIXELS = None
    assert Image.open(tmp_path / "large_x4.png").size == (40000, 40000)
