"""The detail discriminator: what a logit sees, what counts as detail, other scales."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gramgan_cli.core.archs.discriminators import build_discriminator
from gramgan_cli.core.archs.discriminators.detail import DetailDiscriminator


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_one_logit_per_lr_pixel(scale: int) -> None:
    network = build_discriminator("detail", 8 * scale, 4, scale)
    lr = torch.rand(2, 3, 8, 6)
    assert network(torch.rand(2, 3, 8 * scale, 6 * scale), lr).shape == (2, 1, 8, 6)


def test_a_logit_sees_as_many_lr_pixels_as_there_are_convolutions() -> None:
    torch.manual_seed(0)
    network = DetailDiscriminator(4, nf=6, depth=3).double()
    lr = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    network(image, lr)[0, 0, 8, 8].backward()
    assert image.grad is not None
    rows = torch.nonzero((image.grad.abs().sum(dim=(0, 1)) > 0).any(dim=1)).flatten()
    assert (int(rows[0]), int(rows[-1])) == (4 * (8 - 3), 4 * (8 + 3) + 3)


def test_only_what_lr_lacks_is_detail() -> None:
    """On flat colours bicubic LR is the image, so that the detail is zero and LR alone makes the logits."""
    torch.manual_seed(0)
    network = DetailDiscriminator(4, nf=6, depth=2).double()
    colours = torch.tensor([0.2, 0.5, 0.7], dtype=torch.float64).view(1, 3, 1, 1)
    lr, image = colours.expand(1, 3, 4, 4), colours.expand(1, 3, 16, 16)
    first = network.features[0]
    assert isinstance(first, nn.Conv2d)
    with torch.no_grad():
        expected = nn.functional.conv2d(3 * (lr - 0.5), first.weight[:, 48:], first.bias, padding=1)
        expected = network.last(nn.functional.leaky_relu(expected, 0.2))
        torch.testing.assert_close(network(image, lr), expected)
        # Brighter by 0.1 in every sub-pixel of red: 6 x 0.1 in 16 of the 48 channels of detail.
        seen = torch.zeros(1, 51, 4, 4, dtype=torch.float64)
        seen[:, :16] = 0.6
        seen[:, 48:] = 3 * (lr - 0.5)
        redder = image + torch.tensor([0.1, 0.0, 0.0], dtype=torch.float64).view(1, 3, 1, 1)
        torch.testing.assert_close(network(redder, lr), network.last(network.features(seen)))
