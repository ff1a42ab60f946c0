"""The U-Net discriminator: parameter count, spectral norms, receptive field of each logit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gramgan_cli.core.archs.discriminators import build_discriminator
from gramgan_cli.core.archs.discriminators.unet import UNetDiscriminator
from gramgan_cli.core.errors import GramganError


def test_the_parameter_count_is_the_papers() -> None:
    """4 376 897, as in Real-ESRGAN's published discriminators."""
    assert sum(parameter.numel() for parameter in UNetDiscriminator().parameters()) == 4_376_897


def test_one_logit_per_pixel_and_spectral_norms_of_one() -> None:
    torch.manual_seed(0)
    network = UNetDiscriminator(nf=8)
    picture = torch.rand(2, 3, 32, 24)
    for _ in range(50):  # power iteration, once per pass
        answer = network(picture)
    assert answer.shape == (2, 1, 32, 24)
    normed = [conv for conv in network.modules() if isinstance(conv, nn.Conv2d) and conv.bias is None]
    assert len(normed) == 8
    for conv in normed:
        assert float(torch.linalg.matrix_norm(conv.weight.flatten(1), 2)) == pytest.approx(1, abs=0.02)


def test_a_logit_sees_far_and_near() -> None:
    torch.manual_seed(0)
    network = UNetDiscriminator(nf=4).double().eval()
    picture = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    network(picture)[0, 0, 32, 32].backward()
    assert picture.grad is not None
    seen = picture.grad.abs().sum(dim=(0, 1)) > 0
    rows = torch.nonzero(seen.any(dim=1)).flatten()
    assert rows[0] <= 16
    assert rows[-1] >= 48
    assert bool(seen[32, 32])


def test_sides_that_can_t_be_halved_three_times_are_refused() -> None:
    with pytest.raises(GramganError, match="multiple of 8"):
        build_discriminator("unet", 100)
