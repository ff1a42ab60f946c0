"""Quantisation tables against those that Pillow's libjpeg writes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from gramgan_cli.core.jpeg.tables import ANNEX_K, MOZJPEG, scaled


@pytest.mark.parametrize("quality", [1, 2, 7, 25, 33, 49, 50, 51, 75, 90, 99, 100])
def test_annex_k_is_scaled_as_libjpeg_does(quality: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    photo = Image.open(file)
    assert isinstance(photo, JpegImagePlugin.JpegImageFile)
    for table, written in zip((ANNEX_K.luma, ANNEX_K.chroma), photo.quantization.values(), strict=True):
        np.testing.assert_array_equal(scaled(table, quality).int().numpy().ravel(), written)


def test_mozjpegs_table_is_the_same_for_both_directions() -> None:
    steps = scaled(MOZJPEG.luma, 50).numpy()
    np.testing.assert_array_equal(steps, steps.T)
    assert (np.diff(steps, axis=1)[:, 1:] >= 0).all()
