"""The local power-spectrum loss against NumPy's transform, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.losses.optional.spectrum import excess, spectrum
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""ITU-R BT.601, full range, rounded as in JFIF."""


def plain_power(image: NDArray[np.float64], side: int = 16) -> NDArray[np.float64]:
    """Local power of one picture (3, H, W) as (rows, columns, 3, side, side / 2 + 1), computed in loops."""
    planes = np.einsum("kc,chw->khw", TO_YCBCR, image)
    bell = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)
    rows, columns = ((length - side) // 8 + 1 for length in planes.shape[1:])
    power = np.empty((3, rows, columns, side, side // 2 + 1))
    for plane, row, column in np.ndindex(3, rows, columns):
        window = planes[plane, 8 * row : 8 * row + side, 8 * column : 8 * column + side]
        power[plane, row, column] = np.abs(np.fft.rfft2((window - window.mean()) * np.outer(bell, bell))) ** 2
    regions = [
        [power[:, top : top + 4, left : left + 4].mean((1, 2)) for left in range(0, columns - 3, 2)]
        for top in range(0, rows - 3, 2)
    ]
    return np.array(regions)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 104)])
def test_local_power_equals_numpy_per_window(height: int, width: int) -> None:
    sr, hr = torch.rand(2, 2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sr = 0.3 * sr
    ratios = [(plain_power(a) + 5e-4) / (plain_power(b) + 5e-4) for a, b in zip(sr.numpy(), hr.numpy(), strict=True)]
    assert float(spectrum(sr, hr)) == pytest.approx(float(np.abs(np.log(ratios)).mean()), rel=1e-4)
    assert float(spectrum(hr, hr)) == 0


@pytest.mark.parametrize(("height", "width"), [(56, 56), (64, 104)])
def test_excess_equals_numpy_per_window(height: int, width: int) -> None:
    sr, hr = torch.rand(2, 2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    powers = [[plain_power(image, 32) + 4 * 5e-4 for image in batch.numpy()] for batch in (sr, hr)]
    above = np.maximum(0, np.log(np.array(powers[0]) / np.array(powers[1])))
    assert float(excess(sr, hr)) == pytest.approx(float((above**2).mean()), rel=1e-4)


def test_excess_ignores_smoother_images_and_finds_a_lattice_among_noise() -> None:
    """The lattice of 7 px and the other noise have the same variance."""
    generator = torch.Generator().manual_seed(4)
    noise, other = 0.05 * torch.randn(2, 2, 1, 96, 96, generator=generator).expand(2, 2, 3, 96, 96)
    wave = torch.cos(2 * torch.pi * torch.arange(96) / 7)
    lattice = 0.1 * (wave[:, None] * wave).expand(2, 3, 96, 96)
    assert float(lattice.std() / other.std()) == pytest.approx(1, abs=0.05)
    assert float(excess(0.5 + 0.2 * noise, 0.5 + noise)) == 0
    assert float(excess(0.5 + lattice, 0.5 + noise)) > 1.5 * float(excess(0.5 + other, 0.5 + noise))


def test_other_noise_of_the_same_strength_is_near_and_a_grid_is_far() -> None:
    """The grid has the same variance as the noise, but at one frequency."""
    generator = torch.Generator().manual_seed(1)
    noise, other = 0.5 + 0.05 * torch.randn(2, 4, 3, 96, 96, generator=generator)
    grid = torch.full((4, 4), -1.0)
    grid[::2, ::2] = grid[1::2, 1::2] = 1.0
    dots = 0.5 + 0.05 * grid.repeat(24, 24).expand(4, 3, 96, 96)
    assert float(spectrum(other, noise)) < 0.4
    assert float(spectrum(dots, noise)) > 2


def test_its_gradient_is_that_of_finite_differences() -> None:
    sr, hr = torch.rand(2, 1, 3, 40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(
        lambda x: spectrum(torch.cat((x, sr[..., 2:]), -1), hr), (sr[..., :2].clone().requires_grad_(),), eps=1e-7
    )


@pytest.mark.parametrize(("term", "side"), [("spectrum", 40), ("excess", 56)])
def test_crops_that_are_too_small_are_refused(term: str, side: int) -> None:
    recipe = merge(load_recipe("photo"), {"loss": {term: 0.1}, "data": {"hr_crop": 32}})
    with pytest.raises(UsageError, match=rf"loss\.{term} needs crops of at least {side} px"):
        check_recipe(recipe)
