"""Smoothing blocks: nearer to the original, within the quantisation intervals, and the same in parts."""

from __future__ import annotations

import numpy as np
import pytest
from jpeg_photos import SAMPLINGS, compressed, reduced_photo
from scipy.fft import dctn

from gramgan_cli.core.jpeg import smoothing
from gramgan_cli.core.jpeg.detect import Compression, detect_compression
from gramgan_cli.core.jpeg.planes import Halved
from gramgan_cli.core.jpeg.smoothing import smooth_blocks, smooth_part
from gramgan_cli.core.jpeg.tables import ANNEX_K, scaled

Array = np.ndarray

FROM_RGB = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""JFIF 1.02, page 3."""


def planes(image: Array) -> Array:
    """Y, Cb and Cr in float64."""
    return image.astype(float) @ FROM_RGB.T


def found(image: Array) -> Compression:
    compression = detect_compression(image)
    assert compression is not None
    return compression


def errors(*images: Array, original: Array) -> list[tuple[float, float]]:
    """Mean squared errors of luma and of the colour differences."""
    wrong = [(planes(image) - planes(original)) ** 2 for image in images]
    return [(float(each[:, :, 0].mean()), float(each[:, :, 1:].mean())) for each in wrong]


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png"])
@pytest.mark.parametrize("halved", SAMPLINGS)
@pytest.mark.parametrize("quality", [20, 50, 75])
def test_photos_come_nearer_to_the_original(name: str, halved: Halved, quality: int) -> None:
    original = reduced_photo(name)
    before = compressed(original, quality, subsampling=SAMPLINGS[halved])
    after = smooth_blocks(before, found(before))
    (luma_before, colours_before), (luma_after, colours_after) = errors(before, after, original=original)
    assert colours_after < 0.95 * colours_before
    assert luma_after < 1.005 * luma_before


def coefficients(image: Array) -> Array:
    """Coefficients of a 4:4:4 image: (3, rows, columns, 8, 8)."""
    height, width = image.shape[:2]
    levels = planes(image) - (128, 0, 0)
    blocks = levels.transpose(2, 0, 1).reshape(3, height // 8, 8, width // 8, 8).transpose(0, 1, 3, 2, 4)
    return np.asarray(dctn(blocks, axes=(3, 4), norm="ortho"))


def test_coefficients_stay_in_their_intervals() -> None:
    before = compressed(reduced_photo()[:192, :288], 25, subsampling="4:4:4")
    after = smooth_blocks(before, Compression(25, ANNEX_K, False, (False, False)))
    luma, chroma = (scaled(table, 25).double().numpy() for table in (ANNEX_K.luma, ANNEX_K.chroma))
    unclipped = ((after > 0) & (after < 255)).all(axis=2).reshape(24, 8, 36, 8).all(axis=(1, 3))
    moved = np.abs(coefficients(after) - coefficients(before))[:, unclipped]
    # JPEG may move coefficients by half a step. Rounding to 8 bits moves them by up to 2 levels more.
    for plane, steps in zip(moved, (luma, chroma, chroma), strict=True):
        assert (plane <= 0.5 * steps + 2).all()
        assert (plane / steps).max() > 0.3


def test_luma_with_details_stays() -> None:
    before = compressed(reduced_photo()[:192, :288], 25, subsampling="4:4:4")
    after = smooth_blocks(before, found(before))
    stored = (coefficients(before)[0] / scaled(ANNEX_K.luma, 25).numpy()).round()
    detailed = (stored.reshape(24, 36, 64)[:, :, 1:] != 0).sum(axis=2) > 1
    clipped = ((after == 0) | (after == 255)).any(axis=2).reshape(24, 8, 36, 8).any(axis=(1, 3))
    change = np.abs(planes(after) - planes(before))[:, :, 0].reshape(24, 8, 36, 8).max(axis=(1, 3))
    assert change[detailed & ~clipped].max() < 1.01  # rounding to 8 bits, twice
    assert change[~detailed].max() > 2


@pytest.mark.parametrize("quality", [15, 60])
def test_grey_stays_grey(quality: int) -> None:
    grey = np.repeat(compressed(reduced_photo(), quality)[:, :, 1:2], 3, axis=2)
    after = smooth_blocks(grey, Compression(quality, ANNEX_K, False, (True, True)))
    np.testing.assert_array_equal(after[:, :, 0], after[:, :, 1])
    np.testing.assert_array_equal(after[:, :, 0], after[:, :, 2])


def sky() -> Array:
    """A sky that slowly turns from blue to pink, and a dark tower in front of it."""
    down = np.linspace(0, 1, 160)[:, None, None]
    image = np.broadcast_to((1 - down) * (90, 140, 210) + down * (215, 190, 200), (160, 240, 3)).copy()
    image[60:, 100:140] = (60, 30, 20)
    return image.round().astype(np.uint8)


def test_a_sky_loses_its_patches_and_a_contour_stays() -> None:
    original = sky()
    before = compressed(original, 20)
    after = smooth_blocks(before, found(before))
    (luma_before, colours_before), (luma_after, colours_after) = errors(
        before[:, :80], after[:, :80], original=original[:, :80]
    )
    assert colours_after < 0.5 * colours_before
    assert luma_after < luma_before
    tower = np.abs(planes(after)[100:, 112:128, 1:].mean(axis=(0, 1)) - planes(original)[120, 120, 1:])
    assert tower.max() < 3


def test_half_the_amount_is_half_the_change() -> None:
    before = compressed(reduced_photo(), 30)
    whole, half = (smooth_blocks(before, found(before), amount).astype(float) - before for amount in (1.0, 0.5))
    unclipped = (np.abs(before - 127.5) < 100).all(axis=2)
    assert np.abs(half - whole / 2)[unclipped].max() <= 0.75  # rounding to 8 bits: 1/2 + 1/4
    assert np.abs(whole).max() > 5


@pytest.mark.parametrize("cut", [0, 11])
@pytest.mark.parametrize("quality", [10, 40])
def test_tiles_and_parts_have_the_values_of_the_whole(quality: int, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tall = np.concatenate([reduced_photo("coffee.png"), reduced_photo("coffee.png")[::-1]])[:, :160]
    before = np.ascontiguousarray(compressed(tall, quality)[cut:, cut:])
    compression = found(before)
    whole = smooth_blocks(before, compression).astype(int)
    monkeypatch.setattr(smoothing, "TILE", 64)
    assert np.abs(smooth_blocks(before, compression) - whole).max() <= 1
    part = smooth_part(before, slice(150, 333), slice(13, 77), compression)
    assert np.abs(part - whole[150:333, 13:77]).max() <= 1


@pytest.mark.parametrize("cut", [(8, 16), (3, 5), (15, 1)])
def test_a_cropped_photo_is_smoothed_like_the_whole(cut: tuple[int, int]) -> None:
    before = compressed(reduced_photo("coffee.png"), 25)
    whole = smooth_blocks(before, found(before))[cut[0] :, cut[1] :].astype(int)
    cropped = np.ascontiguousarray(before[cut[0] :, cut[1] :])
    after = smooth_blocks(cropped, found(cropped))
    # The first blocks are incomplete, and smoothing them carries some way.
    assert np.abs(after - whole)[64:, 64:].max() <= 2
    # The incomplete blocks come nearer to the original too.
    original = reduced_photo("coffee.png")[cut[0] :, cut[1] :]
    (_, colours_before), (_, colours_after) = errors(cropped[:16], after[:16], original=original[:16])
    assert colours_after < colours_before


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (17, 33), (8, 300)])
@pytest.mark.parametrize("halved", SAMPLINGS)
def test_small_images_change_by_less_than_a_step(size: tuple[int, int], halved: Halved) -> None:
    before = compressed(reduced_photo("coffee.png", 1)[: size[0], : size[1]], 50, subsampling=SAMPLINGS[halved])
    after = smooth_blocks(before, Compression(50, ANNEX_K, False, halved))
    assert after.shape == before.shape
    # Each of a block's 64 coefficients may change, but together hardly by more than the largest step.
    assert np.abs(planes(after) - planes(before)).max() < 99


def test_photos_of_high_quality_stay() -> None:
    before = compressed(reduced_photo(), 85)
    np.testing.assert_array_equal(smooth_blocks(before, found(before)), before)


def test_colours_that_do_not_fit_stay() -> None:
    before = compressed(reduced_photo(), 25)
    after = smooth_blocks(before, Compression(25, ANNEX_K, False, None))
    change = np.abs(planes(after) - planes(before))[((after > 0) & (after < 255)).all(axis=2)]
    assert change[:, 1:].max() < 1.01  # rounding to 8 bits, twice
    assert change[:, 0].max() > 2
