"""The DCT of blocks against scipy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from gramgan_cli.core.jpeg.blocks import dct_matrix, to_coefficients, to_plane


def test_coefficients_are_those_of_scipy() -> None:
    plane = np.random.default_rng(1).uniform(-128, 127, (2, 24, 40))
    found = to_coefficients(torch.from_numpy(plane).float()).numpy()
    blocks = plane.reshape(2, 3, 8, 5, 8)
    np.testing.assert_allclose(found, dctn(blocks, axes=(2, 4), norm="ortho"), atol=2e-4)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 9), (3, 1)])
def test_a_plane_of_any_size_returns_from_its_coefficients(height: int, width: int) -> None:
    plane = torch.rand(2, height, width, generator=torch.Generator().manual_seed(2)) * 255
    coefficients = to_coefficients(plane)
    assert coefficients.shape == (2, -(-height // 8), 8, -(-width // 8), 8)
    torch.testing.assert_close(to_plane(coefficients, height, width), plane, atol=1e-3, rtol=0)


def test_the_matrix_is_orthonormal() -> None:
    waves = dct_matrix().double()
    torch.testing.assert_close(waves @ waves.T, torch.eye(8, dtype=torch.float64), atol=1e-6, rtol=0)
