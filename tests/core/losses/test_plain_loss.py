"""The loss in flat regions against a plain loop, and where it has a gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gramgan_cli.core.losses.plain import DELTA, WINDOW, plain_l1

BT601 = np.array([0.299, 0.587, 0.114])


def pictures(seed: int, side: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Random SR, and HR with a flat and a textured half."""
    generator = torch.Generator().manual_seed(seed)
    sr = torch.rand(2, 3, side, side, dtype=torch.float64, generator=generator)
    hr = 0.4 + 0.2 * torch.rand(2, 3, side, side, dtype=torch.float64, generator=generator)
    hr[..., : side // 2] = 0.4 + 0.02 * torch.rand(2, 3, side, side // 2, dtype=torch.float64, generator=generator)
    return sr, hr


def by_loops(sr: np.ndarray, hr: np.ndarray) -> float:
    """Pixel by pixel: the deviation of luminance in the window, with reflected borders, then the distance."""
    margin, total = WINDOW // 2, 0.0
    for seen, wanted in zip(sr, hr, strict=True):
        luminance = np.pad(np.tensordot(BT601, wanted, 1), margin, mode="reflect")
        for y in range(wanted.shape[1]):
            for x in range(wanted.shape[2]):
                if luminance[y : y + WINDOW, x : x + WINDOW].std() < DELTA:
                    total += np.abs(seen[:, y, x] - wanted[:, y, x]).sum()
    return total / sr.size


@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_equals_a_plain_loop(seed: int) -> None:
    sr, hr = pictures(seed)
    expected = by_loops(sr.numpy(), hr.numpy())
    assert 0 < expected < float((sr - hr).abs().mean())
    assert float(plain_l1(sr, hr)) == pytest.approx(expected, rel=1e-12)


def test_gradients_are_limited_to_flat_regions_of_hr() -> None:
    """Except for two pixels on each side of the edge between columns 15 and 16."""
    hr = torch.full((1, 3, 32, 32), 0.2)
    hr[..., 16:] = 0.8
    hr[:, :, 24:] += 0.1 * torch.sign(torch.rand(8, 32, generator=torch.Generator().manual_seed(0)) - 0.5)
    sr = (hr + 0.01).requires_grad_()
    plain_l1(sr, hr).backward()
    assert sr.grad is not None
    pushed = sr.grad[0].abs().sum(dim=0) > 0
    assert pushed[:20, :14].all()
    assert pushed[:20, 18:].all()
    assert not pushed[:, 14:18].any()
    assert not pushed[24:].any()


def test_its_gradient_is_that_of_finite_differences() -> None:
    sr, hr = pictures(2, side=12)
    assert torch.autograd.gradcheck(lambda x: plain_l1(x, hr), (sr.requires_grad_(),), eps=1e-7)
