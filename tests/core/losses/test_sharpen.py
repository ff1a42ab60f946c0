"""Sharpened targets against SciPy's Gaussian."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from gramgan_cli.core.losses.sharpen import sharpened


def test_sharpening_is_the_papers() -> None:
    hr = np.random.default_rng(0).random((3, 70, 61)).repeat(1, axis=0)
    hr[:, 20:50, 10:40] = 0.2  # a flat region with strong edges around it

    def blurred(planes: np.ndarray) -> np.ndarray:
        return np.stack([ndimage.gaussian_filter(plane, 8, truncate=25 / 8, mode="mirror") for plane in planes])

    residual = hr - blurred(hr)
    mask = blurred((np.abs(residual) > 10 / 255).astype(np.float64))
    expected = mask * np.clip(hr + 0.5 * residual, 0, 1) + (1 - mask) * hr
    found = sharpened(torch.from_numpy(hr)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_plain_picture_stays_as_it_is() -> None:
    plain = torch.full((1, 3, 64, 64), 0.4)
    torch.testing.assert_close(sharpened(plain), plain)
