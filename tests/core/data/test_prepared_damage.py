"""The cache of prepared photos: damaged entries are made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gramgan_cli.core.data.prepared import prepare_photos


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("json", b""),
        ("json", b"\xff\xfe"),
        ("json", b"[[8]]"),
        ("json", b"[[8, -8], [8, 8]]"),
        ("json", b"[[8, 1000000], [8, 8]]"),
        ("json", b"[" * 100_000),
        ("pixels", b""),
        ("pixels", b"short"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_damaged_cache_is_made_again(suffix: str, content: bytes, tmp_path: Path) -> None:
    for name in "ab":
        noise = np.random.default_rng(ord(name)).integers(0, 256, (32, 36, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    first = prepare_photos(paths, 4, tmp_path / "cache")
    expected = [np.array(photo.hr) for photo in first]
    del first  # Windows can't write to a mapped file
    (damaged,) = (tmp_path / "cache").glob(f"*.{suffix}")
    damaged.write_bytes(content)
    again = prepare_photos(paths, 4, tmp_path / "cache")
    assert all(np.array_equal(photo.hr, hr) for photo, hr in zip(again, expected, strict=True))


def test_photos_smaller_than_the_scale_have_no_pixels(tmp_path: Path) -> None:
    for name, size in (("a", (1, 1)), ("b", (3, 2))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    photos = prepare_photos([tmp_path / "a.png", tmp_path / "b.png"], 4, tmp_path / "cache")
    assert [photo.hr.shape for photo in photos] == [(0, 0, 3)] * 2
