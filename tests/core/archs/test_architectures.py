"""Architectures: parameter counts, descriptors, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError

SMALL: list[tuple[str, dict[str, Any]]] = [
    ("compact", {"nf": 4, "nc": 1}),
    ("compact", {"nf": 4, "nc": 4, "scale": 2}),
    ("drunet", {"nc": [3, 4, 5, 6], "nb": 1, "scale": 1}),
    ("drunet", {"nc": [3, 4, 5, 6], "nb": 2, "scale": 1}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "upsampler": "pixelshuffle"}),
    ("rrdbnet", {"nf": 4, "nb": 2, "gc": 2, "upsampler": "nearest"}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "upsampler": "nearest", "scale": 2}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "upsampler": "nearest", "scale": 1}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "scale": 3}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "upsampler": "nearest", "scale": 3}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "scale": 8}),
    ("rrdbnet", {"nf": 4, "nb": 1, "gc": 2, "upsampler": "nearest", "scale": 8}),
    ("srresnet", {"nf": 4, "nb": 2}),
    ("srresnet", {"nf": 4, "nb": 1, "scale": 2, "input_range": "imagenet", "output": "tanh"}),
]


@pytest.mark.parametrize(
    ("arch", "hyperparameters", "count"),
    [
        ("rrdbnet", {"nf": 64, "nb": 23, "gc": 32, "upsampler": "pixelshuffle"}, 16_919_555),
        ("rrdbnet", {"nf": 64, "nb": 23, "gc": 32, "upsampler": "nearest"}, 16_697_987),
        # Real-ESRGAN's published x2 network: 12 input channels after the unshuffling.
        ("rrdbnet", {"nf": 64, "nb": 23, "gc": 32, "upsampler": "nearest", "scale": 2}, 16_703_171),
        ("compact", {"nf": 64, "nc": 16}, 621_424),
        # Real-ESRGAN's published general network.
        ("compact", {"nf": 64, "nc": 32}, 1_213_296),
        ("compact", {"nf": 64, "nc": 12}, 473_456),
    ],
)
def test_parameter_counts(arch: str, hyperparameters: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        assert archs.parameter_count(archs.build(arch, hyperparameters)) == count


def random_network(arch: str, hyperparameters: dict[str, Any]) -> torch.nn.Module:
    """A float64 network with random parameters, so that every path through it has an effect."""
    torch.manual_seed(0)
    network = archs.build(arch, hyperparameters).double().eval()
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, 0.001, 0.01)
    return network


@pytest.mark.parametrize(("arch", "hyperparameters"), SMALL)
def test_the_receptive_radius_is_what_gradients_reach(arch: str, hyperparameters: dict[str, Any]) -> None:
    network = random_network(arch, hyperparameters)
    described = archs.describe(arch, hyperparameters)
    radius, scale, block = described.receptive_radius, described.scale, described.multiple_of
    centre = math.ceil((radius + 2 * block) / block) * block
    side = 2 * centre + block
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    reached = 0
    # The receptive field differs between output positions, so all positions of one input block are tried, on one axis.
    for offset in range(block * scale):
        row = centre * scale + offset
        (gradient,) = torch.autograd.grad(network(x)[0, :, row, centre * scale].sum(), x)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        pixel = row // scale
        reached = max(reached, pixel - int(rows.min()), int(rows.max()) - pixel)
    assert reached <= radius
    # It must not be too large either, since a halo costs time. Unshuffled networks may see one block less on one side.
    assert reached > radius - max(2, block)


@pytest.mark.parametrize(("arch", "hyperparameters"), SMALL)
def test_descriptors_say_what_the_network_does(arch: str, hyperparameters: dict[str, Any]) -> None:
    described = archs.describe(arch, hyperparameters)
    height, width = 3 * described.multiple_of, 5 * described.multiple_of
    with torch.no_grad():
        result = archs.build(arch, hyperparameters).eval()(torch.rand(2, described.in_channels, height, width))
    assert result.shape == (2, described.out_channels, height * described.scale, width * described.scale)
    assert described.scale == hyperparameters.get("scale", 4)


def test_mistakes_are_named() -> None:
    with pytest.raises(GramganError, match=r"no architecture 'rrdbnt'.*rrdbnet"):
        archs.build("rrdbnt", {})
    with pytest.raises(GramganError, match=r"no hyperparameter 'nff'.*nf"):
        archs.build("compact", {"nff": 3})
    with pytest.raises(GramganError, match="scale must be one of 1, 2, 3, 4, 8"):
        archs.build("rrdbnet", {"scale": 5})
    with pytest.raises(GramganError, match="ttsr can't be built"):
        archs.describe("ttsr", {"blocks": []})
    with pytest.raises(GramganError, match=r"in_nc \(3\) and out_nc \(1\) must be equal"):
        archs.build("compact", {"in_nc": 3, "out_nc": 1})
    for key, wrong in (("output", "Tanh"), ("input_range", "ImageNet")):
        with pytest.raises(GramganError, match=f"{key} must be '.*', not '{wrong}'"):
            archs.build("srresnet", {key: wrong})
    for arch, key, wrong, words in (
        ("compact", "nf", -8, "at least 1, not -8"),
        ("compact", "nf", 8.0, "must be a whole number, not 8.0"),
        ("rrdbnet", "upsampler", 2, "must be text, not 2"),
        ("ttsr", "blocks", 2, "must be a list"),
        ("ttsr", "blocks", [1, 2, 3, "4"], "must be a whole number, not '4'"),
    ):
        with pytest.raises(GramganError, match=words):
            archs.build(arch, {key: wrong})
