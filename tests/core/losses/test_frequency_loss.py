"""The spectral loss against an explicit Fourier sum, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gramgan_cli.core.losses.frequency import frequency


def plain(difference: np.ndarray) -> float:
    """The transform as two matrix products, for column frequencies 0 to W / 2."""
    height, width = difference.shape[2:]
    rows = np.exp(-2j * np.pi * np.outer(np.arange(height), np.arange(height)) / height)
    columns = np.exp(-2j * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width)
    spectrum = rows @ difference @ columns / np.sqrt(height * width)
    return float((np.abs(spectrum.real).mean() + np.abs(spectrum.imag).mean()) / 2)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40), (9, 15)])
def test_the_loss_equals_an_explicit_fourier_sum(height: int, width: int) -> None:
    sr, hr = torch.rand(2, 2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(frequency(sr, hr)) == pytest.approx(plain((sr - hr).numpy()), rel=1e-10)


def test_noise_has_the_same_loss_in_crops_of_any_size() -> None:
    """For white noise of deviation s, both parts are normal with deviation s / sqrt 2, so of mean size s / sqrt pi."""
    generator = torch.Generator().manual_seed(1)
    for side in (32, 192):
        noise = 0.1 * torch.randn(8, 3, side, side, generator=generator)
        assert float(frequency(noise, torch.zeros_like(noise))) == pytest.approx(0.1 / np.sqrt(np.pi), rel=0.02)


def test_its_gradient_is_that_of_finite_differences() -> None:
    sr, hr = torch.rand(2, 1, 3, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda x: frequency(x, hr), (sr.requires_grad_(),), eps=1e-7)
