"""The loss against a fixed sub-pixel pattern, beside a plain loop, and what it must and must not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gramgan_cli.core.losses.phase import phase_pattern


def plain(sr: np.ndarray, hr: np.ndarray, scale: int, window: int) -> float:
    """Phase by phase, window by window, with slices alone."""
    height, width = (side // scale for side in sr.shape[2:])
    step, values = max(1, window // 2), []
    for picture in sr - hr:
        for channel in picture:
            for top in range(0, height - window + 1, step):
                for left in range(0, width - window + 1, step):
                    block = channel[top * scale : (top + window) * scale, left * scale : (left + window) * scale]
                    means = np.array([block[i::scale, j::scale].mean() for i in range(scale) for j in range(scale)])
                    values.extend(np.abs(means - means.mean()))
    return float(np.mean(values))


@pytest.mark.parametrize(("scale", "side", "window"), [(4, 72, 8), (2, 40, 8), (4, 24, 6), (4, 4, 1)])
def test_it_is_the_plain_loop(scale: int, side: int, window: int) -> None:
    sr, hr = torch.rand(2, 2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(phase_pattern(sr, hr, scale)) == pytest.approx(plain(sr.numpy(), hr.numpy(), scale, window), rel=1e-12)


def test_a_fixed_pattern_is_seen_at_its_height_and_any_other_texture_hardly() -> None:
    """A pattern of +-h in the phases counts h; noise of the same height averages out over 64 LR pixels."""
    generator = torch.Generator().manual_seed(1)
    hr = torch.rand(1, 3, 128, 128, generator=generator)
    signs = (torch.arange(4)[:, None] + torch.arange(4)[None]) % 2 * 2.0 - 1
    pattern = 0.1 * signs.repeat(32, 32)
    noise = 0.1 * torch.sign(torch.rand(128, 128, generator=generator) - 0.5)
    assert float(phase_pattern(hr + pattern, hr, 4)) == pytest.approx(0.1, rel=1e-5)
    assert float(phase_pattern(hr + noise, hr, 4)) < 0.1 / 8
    assert float(phase_pattern(hr + 0.3, hr, 4)) == pytest.approx(0, abs=1e-6)


def test_its_gradient_is_that_of_finite_differences() -> None:
    sr, hr = torch.rand(2, 1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda x: phase_pattern(x, hr, 4), (sr.requires_grad_(),), eps=1e-7)
