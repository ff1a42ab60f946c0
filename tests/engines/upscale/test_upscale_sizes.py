"""Sizes of results, their names, and resizing in bands against the formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upscale_helpers import JPEG, files, put, upscale

from gramgan_cli.core.resize.rows import resized_bands
from gramgan_cli.core.resize.sizes import SizeChoice


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
def test_a_result_is_named_by_its_size(choice, name, tmp_path):
    """The picture has 34 x 21 pixels."""
    put(tmp_path / "a.png")
    upscale([tmp_path])
    result = upscale([tmp_path], size=choice)[0]
    assert (Path(result.output).name, result.error) == (name, None)
    assert files(tmp_path) == sorted(["a.png", "a_x4.png", name]), "the other result is neither input nor replaced"
    distorted = any("another aspect ratio" in warning for warning in result.warnings)
    assert distorted == (choice.width is not None and choice.height is not None)


def test_a_quality_without_effect_is_reported(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.jpg", JPEG)
    png, jpg = upscale([tmp_path], quality=70)
    assert any("quality" in warning for warning in png.warnings)
    assert jpg.warnings == []


def test_sizes_above_the_models_scale_give_a_warning(tmp_path):
    record = upscale([put(tmp_path / "a.png")], size=SizeChoice(factor=6))[0]
    assert record.warnings == ["The model enlarges by 4: the rest is bicubic interpolation."]


def keys_matrix(old: int, new: int) -> np.ndarray:
    """Weights (new, old) of Keys' cubic in float64, stretched when downscaling, mirrored at the edges."""
    matrix = np.zeros((new, old))
    stretch = max(1.0, old / new)
    for row in range(new):
        centre = (row + 0.5) * old / new - 0.5
        for position in range(int(centre - 2 * stretch) - 2, int(centre + 2 * stretch) + 3):
            x = abs(centre - position) / stretch
            weight = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0
            inside = position % (2 * old)
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
