"""Gram-GAN's discriminator against its table of layers."""

from __future__ import annotations

import torch
from torch import nn

from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle

CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1)


def test_parameters_are_those_of_the_layer_table() -> None:
    inputs = (3, *CHANNELS[:-1])
    convolutions = sum(9 * i * o + o for i, o in zip(inputs, CHANNELS, strict=True))
    linear = 1024 * 100 + 100 + 100 + 1
    with torch.device("meta"):
        network = DiscriminatorVGGStyle()
    assert sum(p.numel() for p in network.parameters()) == convolutions + linear == 28_384_009
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == list(CHANNELS)
    assert [conv.stride[0] for conv in convs] == list(STRIDES)
    assert not [module for module in network.modules() if "Norm" in type(module).__name__]


def test_shapes_of_logit_and_maps() -> None:
    with torch.device("meta"):
        network = DiscriminatorVGGStyle()
        out = network(torch.rand(2, 3, 192, 160))
    assert out.logit.shape == (2, 1)
    assert out.shallow.shape == (2, 256, 48, 40)
    assert out.deep.shape == (2, 1024, 6, 5)


def plain(network: DiscriminatorVGGStyle, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The table of layers in functional form, with all intermediate results."""
    maps = []
    for conv, stride in zip(network.convs, STRIDES, strict=True):
        x = torch.nn.functional.conv2d(x, conv.weight, conv.bias, stride, 1)
        x = torch.where(x > 0, x, 0.2 * x)
        maps.append(x.clone())
    hidden = network.linear1(x.mean((2, 3)))
    return network.linear2(torch.where(hidden > 0, hidden, 0.2 * hidden)), maps[4], maps[10]


def test_maps_are_after_activation_and_never_overwritten() -> None:
    torch.manual_seed(0)
    network = DiscriminatorVGGStyle(nf=4)
    for side in (33, 64):
        x = torch.rand(2, 3, side, side)
        for mine, expected in zip(network(x), plain(network, x), strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)


def test_one_pass_over_real_and_fake_together_equals_two() -> None:
    torch.manual_seed(0)
    network = DiscriminatorVGGStyle(nf=4)
    real, fake = torch.rand(2, 3, 40, 40), torch.rand(2, 3, 40, 40)
    for both, first, second in zip(network(torch.cat((real, fake))), network(real), network(fake), strict=True):
        torch.testing.assert_close(both, torch.cat((first, second)))


def test_the_signal_keeps_its_size_through_all_layers_at_the_start() -> None:
    torch.manual_seed(0)
    out = DiscriminatorVGGStyle(nf=16)(torch.rand(2, 3, 64, 64))
    assert 0.02 < out.deep.std() < 5
