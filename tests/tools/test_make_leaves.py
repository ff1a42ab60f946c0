"""tools/make_leaves.py: edges sharper than those of the source photos, and identical pictures each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_leaves.py"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos without edges: neighbouring pixels differ by at most one level."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        ramp = np.linspace(0, 120 + 100 * number, 400).astype(np.uint8)
        Image.fromarray(np.stack([np.tile(ramp, (380, 1))] * 3, axis=2)).save(folder / f"{number}.png")
    return folder


def make(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, check=False)


def steepest(file: Path) -> int:
    return int(np.abs(np.diff(np.asarray(Image.open(file)).astype(int), axis=1)).max())


def test_pictures_are_sharp_and_determined_by_the_seed(photos: Path, tmp_path: Path) -> None:
    for out, seed in (("first", 1), ("again", 1), ("other", 2)):
        done = make(tmp_path / out, photos, "--count", 2, "--seed", seed)
        assert done.returncode == 0, done.stderr
    first, other = (sorted((tmp_path / out).iterdir()) for out in ("first", "other"))
    assert [Image.open(file).size for file in first] == [(352, 352)] * 2
    assert max(steepest(file) for file in photos.iterdir()) <= 1
    assert min(steepest(file) for file in first) > 60
    assert [file.read_bytes() for file in first] == [(tmp_path / "again" / file.name).read_bytes() for file in first]
    assert first[0].read_bytes() not in [first[1].read_bytes(), other[0].read_bytes()]


def test_a_folder_without_photos_is_named(tmp_path: Path) -> None:
    done = make(tmp_path / "out", tmp_path)
    assert done.returncode == 1
    assert f"No JPEG or PNG in {tmp_path}." in done.stderr
    assert not (tmp_path / "out").exists()
