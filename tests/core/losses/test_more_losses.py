"""SSIM, wavelets, LDL, style, least squares: against scikit-image and explicit float64 formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from gramgan_cli.core.losses.adversarial import lsgan_d, lsgan_g
from gramgan_cli.core.losses.optional.artifacts import artifact_map, artifacts
from gramgan_cli.core.losses.optional.means import means
from gramgan_cli.core.losses.optional.structure import WEIGHTS, ms_ssim_loss, ssim_loss
from gramgan_cli.core.losses.optional.style import style
from gramgan_cli.core.losses.optional.wavelet import haar_bands, wavelet


def pair(side: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(2, 3, side, side, generator=generator)
    return (hr + 0.1 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


def skimage_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """scikit-image's SSIM without the border that the window doesn't fully cover."""
    options = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, values = structural_similarity(a, b, full=True, **options)
    return float(values[5:-5, 5:-5].mean())


def test_ssim_equals_scikit_image() -> None:
    sr, hr = pair()
    planes = [(a.double().numpy(), b.double().numpy()) for a, b in zip(sr.flatten(0, 1), hr.flatten(0, 1), strict=True)]
    assert float(ssim_loss(sr, hr)) == pytest.approx(1 - np.mean([skimage_ssim(*both) for both in planes]), abs=1e-5)
    assert float(ssim_loss(hr, hr)) == pytest.approx(0, abs=1e-6)


def test_ms_ssim_is_the_product_of_its_scales() -> None:
    """For flat pictures, contrast and structure are 1; only the coarsest scale's luminance matters."""
    sr, hr = torch.full((1, 3, 176, 176), 0.4), torch.full((1, 3, 176, 176), 0.6)
    luminance = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert float(ms_ssim_loss(sr, hr)) == pytest.approx(1 - luminance ** WEIGHTS[-1], abs=1e-5)
    with pytest.raises(ValueError, match="176"):
        ms_ssim_loss(sr[..., :100], hr[..., :100])


def test_haar_is_orthonormal_and_the_loss_takes_its_details() -> None:
    sr, hr = pair()
    coarse, detail = haar_bands(hr.double())
    assert float(coarse.square().sum() + detail.square().sum()) == pytest.approx(float(hr.double().square().sum()))
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    _, detail = haar_bands(ramp)
    assert torch.equal(detail[0, :, 0, 0], torch.tensor([-1.0, 0.0, 0.0]))
    # Level 1: -1 in one of three bands. Level 2: the coarse ramp 1, 5, 9, 13 has steps of 4: -4 in one of three bands.
    assert float(wavelet(ramp, torch.zeros_like(ramp))) == pytest.approx(1 / 3 + 4 / 3)
    assert float(wavelet(sr, sr)) == 0


def test_ldl_weighs_each_pixel_by_the_variance_around_it() -> None:
    sr, hr = pair(12)
    residual = (hr - sr).abs().sum(1).double().numpy()
    for number, plane in enumerate(residual):
        mirrored = np.pad(plane, 3, mode="reflect")
        whole = plane.var(ddof=1) ** 0.2
        for row, column in ((0, 0), (5, 7), (11, 3)):
            window = mirrored[row : row + 7, column : column + 7]
            expected = whole * window.var(ddof=1)
            assert float(artifact_map(sr, hr)[number, 0, row, column]) == pytest.approx(expected, rel=1e-4)
    expected = (artifact_map(sr, hr) * (sr - hr).abs()).mean()
    assert float(artifacts(sr, hr)) == pytest.approx(float(expected))
    sr.requires_grad_(True)
    artifacts(sr, hr).backward()
    assert sr.grad is not None
    constant = torch.sign(sr.detach() - hr) * artifact_map(sr, hr) / sr.numel()
    torch.testing.assert_close(sr.grad, constant)


def test_artifacts_that_the_averaged_network_has_too_are_left_out() -> None:
    """Equation 5 of LDL, pixel by pixel in NumPy."""
    sr, hr = pair()
    steady = hr + 0.1 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(3))
    own, averaged = ((hr - image).abs().double().sum(1).numpy() for image in (sr, steady))
    refined = np.where(own < averaged, 0.0, artifact_map(sr, hr)[:, 0].double().numpy())
    expected = (refined[:, None] * (sr - hr).abs().double().numpy()).mean()
    assert 0.2 < (refined == 0).mean() < 0.8
    assert float(artifacts(sr, hr, steady)) == pytest.approx(expected, rel=1e-5)


def test_style_compares_products_of_channels() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 2, 4, 3, 5, generator=generator)
    expected = np.zeros((2, 4, 4))
    for features, sign in ((a, 1), (b, -1)):
        flat = features.double().numpy().reshape(2, 4, 15)
        expected += sign * np.einsum("bcn,bdn->bcd", flat, flat) / (4 * 15)
    assert float(style({"t": a}, {"t": b}, {"t": 0.5})) == pytest.approx(0.5 * np.abs(expected).mean(), rel=1e-5)


def test_least_squares_gan() -> None:
    real, fake = torch.tensor([[0.5], [2.0]]), torch.tensor([[-1.0], [0.25]])
    assert float(lsgan_d(real, fake)) == pytest.approx(0.5 * (0.25 + 1) / 2 + 0.5 * (1 + 0.0625) / 2)
    assert float(lsgan_g(fake)) == pytest.approx(0.5 * (4 + 0.5625) / 2)


def test_means_ignores_what_averages_out_and_sees_a_tint() -> None:
    """8 px hold whole periods of the grid, so that only the tint of one channel by 0.03 is left."""
    hr = torch.rand(2, 3, 24, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    grid = torch.tensor([[0.1, -0.1], [-0.1, 0.1]], dtype=torch.float64).repeat(12, 16)
    tint = torch.tensor([0.03, 0.0, 0.0], dtype=torch.float64).view(1, 3, 1, 1)
    assert float(means(hr + grid, hr)) == pytest.approx(0, abs=1e-12)
    assert float(means(hr + grid + tint, hr)) == pytest.approx(0.01)
