"""Finding a photo's compression from its pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from jpeg_photos import SAMPLINGS, compressed, reduced_photo
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from gramgan_cli.core.jpeg.detect import detect_compression, first_block
from gramgan_cli.core.jpeg.planes import Halved
from gramgan_cli.core.jpeg.tables import ANNEX_K, MOZJPEG, scaled

PHOTOS = ("coffee.png", "chelsea.png")


def gradient() -> np.ndarray:
    """A drawing's background: from yellow to blue, without noise."""
    across = np.linspace(0, 1, 256)[None, :, None]
    return (
        np.broadcast_to((1 - across) * (250, 220, 40) + across * (20, 60, 200), (256, 256, 3)).round().astype(np.uint8)
    )


def lettered(image: np.ndarray) -> np.ndarray:
    """The image with lines of white text."""
    page = Image.fromarray(image)
    for line in range(8):
        ImageDraw.Draw(page).text(
            (20, 20 + 28 * line), "The quick brown fox jumps", "white", ImageFont.load_default(16)
        )
    return np.array(page)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("halved", SAMPLINGS)
@pytest.mark.parametrize("quality", [15, 25, 50, 85])
def test_quality_and_sampling_are_found(name: str, halved: Halved, quality: int) -> None:
    image = compressed(reduced_photo(name), quality, subsampling=SAMPLINGS[halved])
    found = detect_compression(image)
    assert found is not None
    # Neighbouring qualities can have equal steps in the frequencies that are examined.
    assert abs(found.quality - quality) <= 1
    assert (found.tables, found.turned, found.halved) == (ANNEX_K, False, halved)


def test_a_photo_turned_by_90_degrees_has_halved_rows() -> None:
    image = compressed(reduced_photo()[:192, :288], 40, subsampling="4:2:2")
    found = detect_compression(np.rot90(image))
    assert found is not None
    assert (found.turned, found.halved) == (True, (True, False))
    np.testing.assert_array_equal(found.luma_steps, scaled(ANNEX_K.luma, found.quality).T)


@pytest.mark.parametrize("halved", SAMPLINGS)
@pytest.mark.parametrize("cut", [(0, 1), (3, 5), (8, 0), (13, 15)])
def test_a_cropped_photo_has_blocks_that_begin_elsewhere(halved: Halved, cut: tuple[int, int]) -> None:
    image = compressed(reduced_photo(), 30, subsampling=SAMPLINGS[halved])[cut[0] :, cut[1] :]
    found = detect_compression(image)
    assert found is not None
    assert (found.quality, found.halved) == (30, halved)
    # Blocks of colours that are not halved are 8 pixels wide, and so are those of luma.
    for begin, removed, half in zip(found.origin, cut, halved, strict=True):
        assert (begin + removed) % (16 if half else 8) == 0


@pytest.mark.parametrize("quality", [20, 75])
def test_blocks_are_found_at_any_place(quality: int) -> None:
    image = compressed(reduced_photo("coffee.png", 1), quality)
    assert [first_block(image[cut:, 7 - cut :]) for cut in range(8)] == [(-cut % 8, (cut + 1) % 8) for cut in range(8)]


@pytest.mark.parametrize("name", PHOTOS)
def test_the_coarser_of_two_compressions_is_found(name: str) -> None:
    found = detect_compression(compressed(compressed(reduced_photo(name), 25), 90))
    assert found is not None
    assert abs(found.quality - 25) <= 1


def test_colours_with_finer_tables_are_left_out() -> None:
    tables = [scaled(ANNEX_K.luma, 30).int().flatten().tolist(), scaled(ANNEX_K.chroma, 90).int().flatten().tolist()]
    file = io.BytesIO()
    Image.fromarray(reduced_photo()).save(file, "JPEG", qtables=tables, subsampling="4:4:4")
    found = detect_compression(np.array(Image.open(file)))
    assert found is not None
    assert (found.quality, found.halved) == (30, None)


@pytest.mark.parametrize("saturation", [0.5, 1.5])
def test_colours_that_were_changed_afterwards_are_left_out(saturation: float) -> None:
    image = Image.fromarray(compressed(reduced_photo(), 50, subsampling="4:4:4"))
    found = detect_compression(np.array(ImageEnhance.Color(image).enhance(saturation)))
    assert found is None or found.halved is None


def test_details_at_the_edge_of_a_large_photo_are_enough() -> None:
    sky = np.full((1200, 1600, 3), (120, 170, 220), np.uint8)
    sky[-200:, :300] = reduced_photo()
    assert (found := detect_compression(compressed(sky, 30))) is not None
    assert found.quality == 30


def test_mozjpegs_tables_are_recognized() -> None:
    steps = scaled(MOZJPEG.luma, 60).int().flatten().tolist()
    file = io.BytesIO()
    Image.fromarray(reduced_photo()).save(file, "JPEG", qtables=[steps, steps], subsampling="4:2:0")
    found = detect_compression(np.array(Image.open(file)))
    assert found is not None
    assert (found.quality, found.tables, found.halved) == (60, MOZJPEG, (True, True))


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(reduced_photo("coffee.png"), id="photo"),
        pytest.param(reduced_photo("grass.png"), id="grass"),
        pytest.param(np.random.default_rng(5).integers(0, 256, (128, 128, 3), dtype=np.uint8), id="noise"),
        pytest.param(np.zeros((64, 64, 3), np.uint8), id="black"),
        pytest.param(np.full((64, 64, 3), 90, np.uint8), id="plain"),
        pytest.param(np.zeros((15, 400, 3), np.uint8), id="narrow"),
        pytest.param(gradient(), id="gradient"),
        pytest.param(lettered(gradient()), id="gradient with letters"),
        pytest.param(np.tile(np.repeat([[[20], [200]]], 3, axis=2).astype(np.uint8), (192, 96, 1)), id="stripes"),
        pytest.param(np.tile(reduced_photo()[40:48, 60:68], (24, 24, 1)), id="one tile, repeated"),
    ],
)
def test_nothing_is_found_where_nothing_is(image: np.ndarray) -> None:
    assert detect_compression(image) is None
