"""Previews of the web interface show what upscaling the file gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jpeg_photos import compressed, reduced_photo

import gramgan_cli as gg
from gramgan_cli.api.upscale.preview import preview_photo, upscaled_square
from gramgan_cli.core.images.floats import float_bands
from gramgan_cli.engines.upscale.upscaler import Upscaler as NetworkUpscaler

X, Y, SIDE = 20, 12, 40


def photo(height: int = 80, width: int = 100) -> np.ndarray:
    return reduced_photo()[:height, :width]


def preview(upscaler: gg.Upscaler, image: np.ndarray) -> np.ndarray:
    return upscaled_square(upscaler, preview_photo(image), X, Y, SIDE).astype(float)


def square_of(result: np.ndarray) -> np.ndarray:
    return result[Y * 4 : (Y + SIDE) * 4, X * 4 : (X + SIDE) * 4].astype(float)


@pytest.fixture(params=[0.0, 1.0], ids=["denoise 0", "denoise 1"], scope="module")
def upscaler(request: pytest.FixtureRequest) -> gg.Upscaler:
    return gg.load(denoise=request.param, device="cpu", backend="torch")


@pytest.mark.parametrize("image", [photo(), compressed(photo(), 25)], ids=["photo", "JPEG"])
def test_a_photo(upscaler: gg.Upscaler, image: np.ndarray) -> None:
    assert np.abs(preview(upscaler, image) - square_of(upscaler(image))).max() <= 2


@pytest.mark.parametrize("hidden", [0, 255])
def test_colours_under_transparency_do_not_show(upscaler: gg.Upscaler, hidden: int) -> None:
    rows, columns = np.indices((80, 100))
    alpha = np.where((rows // 10 + columns // 10) % 2, 255, 0).astype(np.uint8)
    colours = np.where(alpha[:, :, None] == 0, hidden, photo()).astype(np.uint8)
    image = np.dstack((colours, alpha))
    shown, expected = preview(upscaler, image), square_of(upscaler(image))
    visible = expected[:, :, 3] > 128
    assert np.abs(shown - expected)[visible].max() <= 2


def of_file(upscaler: gg.Upscaler, image: np.ndarray) -> np.ndarray:
    """The square of a floating-point image as upscaling its file gives it."""
    source: Any = upscaler.session.source
    assert isinstance(source, NetworkUpscaler)
    size = image.shape[0] * 4, image.shape[1] * 4
    return square_of(np.concatenate(list(float_bands(image, source.bands, size, None, False, lambda _text: None))))


def test_values_beyond_1_keep_their_range(upscaler: gg.Upscaler) -> None:
    image = (photo() / 255 * 4 - 1).astype(np.float32)
    shown = preview(upscaler, image)
    assert np.abs(shown - of_file(upscaler, image)).max() <= 2 * 4 / 255
    assert shown.max() > 1.5


def test_missing_values_do_not_spoil_their_surroundings(upscaler: gg.Upscaler) -> None:
    image = (photo() / 255).astype(np.float32)
    image[30, 30] = np.nan
    shown, expected = preview(upscaler, image), of_file(upscaler, image)
    present = np.isfinite(expected)
    assert not present.all()
    assert np.abs(shown - expected)[present].max() <= 2 / 255
