"""Results opened in common programs: exiftool, ImageMagick, libvips, Chromium.

A missing program is installed first, on Debian systems where the tests may install packages.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium
from photo_corpus import exif_with, make_png, scene, with_pillow
from photo_parts import DISPLAY_P3, XMP
from PIL import Image
from upscale_helpers import upscale_one

pytestmark = pytest.mark.slow

PACKAGES = {
    "exiftool": "libimage-exiftool-perl",
    "identify": "imagemagick",
    "vipsheader": "libvips-tools",
    "chromium": "chromium",
}
FORMATS = ["png", "jpg", "webp", "tiff", "avif"]


def need(program: str) -> str:
    """Path of a program, installed if possible; skips the test otherwise."""
    if shutil.which(program) is None and shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        command = ["apt-get", "install", "-y", "--no-install-recommends", PACKAGES[program]]
        subprocess.run(command, capture_output=True, timeout=900)
    return shutil.which(program) or pytest.skip(f"needs {program} (package {PACKAGES[program]})")


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A photo in Display P3, rotated by EXIF, with EXIF, XMP and a resolution, upscaled into every format."""
    folder = tmp_path_factory.mktemp("clients")
    data = with_pillow(
        scene(3, height=40, width=60),
        "JPEG",
        quality=98,
        subsampling=0,
        exif=exif_with(6),
        icc_profile=DISPLAY_P3,
        xmp=XMP,
        dpi=(300, 300),
    )
    found = {}
    for form in FORMATS:
        record = upscale_one(data, folder, "a.jpg", format=form)
        assert record.error is None
        assert record.output is not None
        found[form] = Path(record.output)
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_exiftool_sees_profile_orientation_and_dates(form, results):
    facts = json.loads(run(need("exiftool"), "-json", "-n", results[form]))[0]
    assert "Warning" not in facts, facts["Warning"]
    assert "Error" not in facts
    assert (facts["ImageWidth"], facts["ImageHeight"]) == (160, 240)
    assert facts["ProfileDescription"] == "Display P3"
    assert facts["Orientation"] == 1
    assert facts["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert facts["Make"] == "Maker"
    assert (facts["ExifImageWidth"], facts["ExifImageHeight"]) == (160, 240)
    assert facts["Title"] == "A title"
    if form != "avif":
        assert "ThumbnailImage" not in facts


@pytest.mark.parametrize("form", FORMATS)
def test_exiftool_finds_no_fault_in_the_structure(form, results):
    message = run(need("exiftool"), "-validate", "-warning", "-a", results[form])
    assert "Error" not in message, message


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tiff"])
def test_imagemagick_opens_them_with_the_right_pixels(form, results, tmp_path):
    identify = need("identify")
    if form == "webp" and "WEBP" not in run(identify, "-list", "format").upper():
        pytest.skip("this ImageMagick has no WebP")
    assert run(identify, "-format", "%w %h", results[form]) == "160 240"
    program = shutil.which("magick") or shutil.which("convert")
    run(program, results[form], "+profile", "*", tmp_path / "back.png")
    expected = np.rot90(scene(3, height=40, width=60), -1)
    found = np.asarray(Image.open(tmp_path / "back.png").convert("RGB"))
    assert np.abs(found[::4, ::4].astype(int) - expected).mean() < (6 if form == "webp" else 3)


def test_imagemagick_sees_16_bits(tmp_path):
    identify = need("identify")
    for form in ("png", "tiff"):
        record = upscale_one(make_png(scene(3, np.uint16), 16, 2), tmp_path, "a.png", format=form)
        assert run(identify, "-format", "%z", record.output) == "16"


@pytest.mark.parametrize("form", FORMATS)
def test_libvips_opens_them(form, results):
    header = need("vipsheader")
    if form == "avif" and subprocess.run([header, results[form]], capture_output=True).returncode:
        pytest.skip("this libvips has no AVIF")
    assert "160x240" in run(header, results[form])
    assert "icc-profile-data" in run(header, "-a", results[form])


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    need("chromium")
    chromium = Chromium(tmp_path)
    yield chromium
    chromium.close()


def test_chromium_shows_results_upright_and_in_their_colours(results, browser, tmp_path):
    """Each picture in a page, with pixels read back through a canvas: upright and in Display P3's colours."""
    shown = {form: path for form, path in results.items() if form != "tiff"}

    def embedded(name: str, kind: str, path: Path) -> str:
        return f'<img id="{name}" src="data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}">'

    tags = "".join(embedded(form, {"jpg": "jpeg"}.get(form, form), path) for form, path in shown.items())
    animated = with_pillow(
        Image.fromarray(scene(3)), "GIF", save_all=True, append_images=[Image.fromarray(255 - scene(3))], duration=50
    )
    moving = Path(upscale_one(animated, tmp_path, "moving.gif").output or "")
    tags += embedded("apng", "png", moving)
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><body>{tags}")
    browser.open(page, "[...document.images].every(image => image.complete)")
    for form in [*shown, "apng"]:
        size = browser.run(f"[document.getElementById('{form}').naturalWidth, {form}.naturalHeight]")
        assert size == ([160, 240] if form != "apng" else [136, 84]), form
    read = (
        "(id => {const i = document.getElementById(id), c = document.createElement('canvas');"
        "c.width = i.naturalWidth; c.height = i.naturalHeight;"
        "const g = c.getContext('2d', {colorSpace: 'display-p3'}); g.drawImage(i, 0, 0);"
        "return [[2, 2], [157, 2], [2, 237], [157, 237]].map(p => [...g.getImageData(p[0], p[1], 1, 1).data])})"
    )
    corners = np.rot90(scene(3, height=40, width=60), -1)[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
    for form in shown:
        seen = np.array(browser.run(f"{read}('{form}')"))[:, :3]
        assert np.abs(seen - corners).max() <= 16, form  # the test profile has a plain gamma, Chromium sRGB's curve
