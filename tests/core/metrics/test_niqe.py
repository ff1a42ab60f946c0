"""NIQE against a published number and plain computations of its parts, and its properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from gramgan_cli.core.metrics.niqe import asymmetric_gaussian, natural_model, niqe


def test_the_published_number(shared_data: Path) -> None:
    """MATLAB's NIQE of Set14's baboon is 5.7296, as reported by BasicSR."""
    baboon = np.asarray(Image.open(shared_data / "Set14" / "HR" / "img_001.png").convert("RGB"))
    assert niqe(baboon, 0) == pytest.approx(5.7296, abs=2e-4)


@pytest.mark.parametrize(("shape", "left", "right"), [(2.0, 1.0, 1.0), (1.0, 0.5, 1.5), (0.6, 2.0, 1.0)])
def test_the_moments_give_back_the_distribution(shape: float, left: float, right: float) -> None:
    """In samples of the asymmetric generalised Gaussian, (|x| / scale)^shape is gamma distributed."""
    random = np.random.default_rng(0)
    count = 400_000
    sizes = random.gamma(1 / shape, 1, count) ** (1 / shape)
    is_left = random.random(count) < left / (left + right)
    values = np.where(is_left, -left, right) * sizes
    found = asymmetric_gaussian(values)
    assert found == pytest.approx((shape, left, right), rel=0.03)


def test_damage_is_less_natural_than_a_photo() -> None:
    photo = data.astronaut()[:384, :384]
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 40, photo.shape), 0, 255).astype(np.uint8)
    blocks = photo[::8, ::8].repeat(8, 0).repeat(8, 1)
    assert niqe(photo, 4) < niqe(noisy, 4)
    assert niqe(photo, 4) < niqe(blocks, 4)


def test_the_border_is_cut() -> None:
    photo = data.astronaut()[:300, :300].copy()
    framed = photo.copy()
    framed[:4], framed[-4:], framed[:, :4], framed[:, -4:] = 0, 255, 0, 255
    assert niqe(framed, 4) == niqe(photo, 4) != niqe(framed, 0)


def test_flat_pictures_have_none_and_small_ones_are_refused() -> None:
    assert math.isnan(niqe(np.full((200, 200, 3), 90, np.uint8), 0))
    with pytest.raises(ValueError, match="at least 200 px"):
        niqe(np.zeros((199, 300, 3), np.uint8), 4)


def test_the_model_of_natural_photos_is_a_gaussian() -> None:
    mean, covariance = natural_model()
    assert mean.shape == (36,)
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
