"""The phase loss against a plain loop, and its response to patterns and textures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from gramgan_cli.core.losses.phase import pattern, phase_pattern


def plain(difference: np.ndarray, scale: int, window: int) -> float:
    """Phase by phase and window by window, with slices."""
    height, width = (side // scale for side in difference.shape[2:])
    step, values = max(1, window // 2), []
    for picture in difference:
        for channel in picture:
            for top in range(0, height - window + 1, step):
                for left in range(0, width - window + 1, step):
                    block = channel[top * scale : (top + window) * scale, left * scale : (left + window) * scale]
                    means = np.array([block[i::scale, j::scale].mean() for i in range(scale) for j in range(scale)])
                    values.extend(np.abs(means - means.mean()))
    return float(np.mean(values))


def far_from_the_mean(image: np.ndarray, scale: int) -> np.ndarray:
    """|x - mean|, with the mean over the existing pixels of a window of side 2 scale + 1."""
    size = (1, 1, 2 * scale + 1, 2 * scale + 1)
    inside = ndimage.uniform_filter(np.ones_like(image), size, mode="constant")
    return np.abs(image - ndimage.uniform_filter(image, size, mode="constant") / inside)


@pytest.mark.parametrize(("scale", "side", "window"), [(4, 72, 8), (2, 40, 8), (4, 24, 6), (4, 4, 1)])
def test_the_loss_equals_a_plain_loop(scale: int, side: int, window: int) -> None:
    sr, hr = torch.rand(2, 2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    contrasts = [far_from_the_mean(image.numpy(), scale) for image in (sr, hr)]
    expected = plain((sr - hr).numpy(), scale, window) + plain(contrasts[0] - contrasts[1], scale, window)
    assert float(phase_pattern(sr, hr, scale)) == pytest.approx(expected, rel=1e-10)


def test_dots_of_alternating_sign_are_detected_by_their_contrast() -> None:
    """Their mean is 0 in every phase, but only one phase of sixteen has contrast."""
    generator = torch.Generator().manual_seed(3)
    signs = torch.sign(torch.rand(1, 3, 32, 32, generator=generator) - 0.5)
    dots = torch.zeros(1, 3, 128, 128)
    dots[:, :, 1::4, 2::4] = 0.2 * signs
    anywhere = dots.flatten(2)[:, :, torch.randperm(128 * 128, generator=generator)].view_as(dots)
    plain_grey = torch.full_like(dots, 0.5)
    assert float(pattern(dots, 4)) < 0.006
    assert float(phase_pattern(plain_grey + dots, plain_grey, 4)) > 2 * float(
        phase_pattern(plain_grey + anywhere, plain_grey, 4)
    )


def test_a_fixed_pattern_is_seen_at_its_height_and_any_other_texture_hardly() -> None:
    """A pattern of +-h in the phases gives h; noise of the same amplitude averages out over 64 LR pixels."""
    generator = torch.Generator().manual_seed(1)
    hr = torch.rand(1, 3, 128, 128, generator=generator)
    signs = (torch.arange(4)[:, None] + torch.arange(4)[None]) % 2 * 2.0 - 1
    fixed = 0.1 * signs.repeat(32, 32)
    noise = 0.1 * torch.sign(torch.rand(128, 128, generator=generator) - 0.5)
    assert float(pattern(fixed[None, None], 4)) == pytest.approx(0.1, rel=1e-5)
    assert float(pattern(noise[None, None], 4)) < 0.1 / 8
    assert float(phase_pattern(hr + fixed, hr, 4)) > 0.1 - 1e-5
    assert float(phase_pattern(hr + 0.3, hr, 4)) == pytest.approx(0, abs=1e-6)


def test_its_gradient_is_that_of_finite_differences() -> None:
    sr, hr = torch.rand(2, 1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda x: phase_pattern(x, hr, 4), (sr.requires_grad_(),), eps=1e-7)
