"""Every network against a plain reimplementation, written layer by layer from the papers' tables.

The plain versions share no code with the modules: they take float64 weights as a list in the order of the tables.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plain_networks import Weights, check, leaky, random_image, randomised, repeat, shuffle, unshuffle
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators.esrgan import ESRGANDiscriminator
from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle
from gramgan_cli.core.archs.discriminators.srgan import SRGANDiscriminator
from gramgan_cli.core.archs.discriminators.ttsr import TTSRDiscriminator
from gramgan_cli.core.errors import GramganError


def plain_rrdbnet(w: Weights, x: Tensor, nb: int, scale: int, upsampler: str) -> Tensor:
    """RRDBNet with either upsampler; scales 1 and 2 unshuffle the input."""
    if scale < 4:
        x = unshuffle(x, 4 // scale)
    first = w.conv("conv_first", x)
    trunk = first
    for block in range(nb):
        whole = trunk
        for dense in (1, 2, 3):
            seen, name = [trunk], f"trunk.{block}.rdb{dense}"
            for k in (1, 2, 3, 4):
                seen.append(leaky(w.conv(f"{name}.conv{k}", torch.cat(seen, 1))))
            trunk = trunk + 0.2 * w.conv(f"{name}.conv5", torch.cat(seen, 1))
        trunk = whole + 0.2 * trunk
    x = first + w.conv("trunk_conv", trunk)
    for name in ("upconv1", "upconv2"):
        x = leaky(shuffle(w.conv(name, x), 2)) if upsampler == "pixelshuffle" else leaky(w.conv(name, repeat(x, 2)))
    return w.conv("conv_last", leaky(w.conv("hr_conv", x)))


@pytest.mark.parametrize("upsampler", ["pixelshuffle", "nearest"])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_rrdbnet(scale: int, upsampler: str) -> None:
    network = randomised(archs.build("rrdbnet", {"nf": 6, "nb": 2, "gc": 3, "scale": scale, "upsampler": upsampler}))
    x, weights = random_image(2, 3, 8, 12), Weights(network)
    check(network(x), plain_rrdbnet(weights, x, 2, scale, upsampler), weights)


def plain_srresnet(w: Weights, x: Tensor, nb: int, tutorial: bool) -> Tensor:
    """SRResNet; ``tutorial`` is write-up B's, with ImageNet-normalised input and tanh output."""
    if tutorial:
        mean = torch.tensor([0.485, 0.456, 0.406], dtype=x.dtype).view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225], dtype=x.dtype).view(1, 3, 1, 1)
        x = (x - mean) / deviation
    first = w.prelu("prelu", w.conv("conv_first", x))
    x = first
    for block in range(nb):
        name = f"blocks.{block}"
        inner = w.prelu(f"{name}.prelu", w.norm(f"{name}.bn1", w.conv(f"{name}.conv1", x)))
        x = x + w.norm(f"{name}.bn2", w.conv(f"{name}.conv2", inner))
    x = first + w.norm("trunk_bn", w.conv("trunk_conv", x))
    for step in (0, 1):
        x = w.prelu(f"upsample.{step}.prelu", shuffle(w.conv(f"upsample.{step}.conv", x), 2))
    x = w.conv("conv_last", x)
    return (torch.tanh(x) + 1) / 2 if tutorial else x


@pytest.mark.parametrize("tutorial", [False, True])
def test_srresnet(tutorial: bool) -> None:
    options = {"input_range": "imagenet", "output": "tanh"} if tutorial else {}
    network = randomised(archs.build("srresnet", {"nf": 5, "nb": 3, **options}))
    if tutorial:
        nn.init.uniform_(network.get_parameter("conv_last.weight"), -0.01, 0.01)
    x, weights = random_image(2, 3, 7, 9), Weights(network)
    check(network(x), plain_srresnet(weights, x, 3, tutorial), weights)


def plain_compact(w: Weights, x: Tensor, nc: int, scale: int) -> Tensor:
    """Compact: 3x3 convolutions and PReLU at LR size, PixelShuffle, plus the input upscaled by nearest neighbour."""
    features = x
    for layer in range(nc + 1):
        features = w.prelu(f"body.{2 * layer + 1}", w.conv(f"body.{2 * layer}", features))
    return shuffle(w.conv(f"body.{2 * nc + 2}", features), scale) + repeat(x, scale)


@pytest.mark.parametrize("scale", [2, 4])
def test_compact(scale: int) -> None:
    network = randomised(archs.build("compact", {"nf": 6, "nc": 3, "scale": scale}))
    x, weights = random_image(2, 3, 7, 9), Weights(network)
    check(network(x), plain_compact(weights, x, 3, scale), weights)


def pooled(x: Tensor, side: int) -> Tensor:
    """Adaptive pooling by its definition: means over the cells floor(i n / side) .. ceil((i + 1) n / side)."""
    height, width = x.shape[-2:]
    cells = [
        x[..., i * height // side : -(-(i + 1) * height // side), j * width // side : -(-(j + 1) * width // side)]
        for i in range(side)
        for j in range(side)
    ]
    return torch.stack([cell.mean((-2, -1)) for cell in cells], -1).flatten(1)


@pytest.mark.parametrize("size", [(96, 96), (40, 57)])
def test_srgan_discriminator(size: tuple[int, int]) -> None:
    network = randomised(SRGANDiscriminator(nf=3, hidden=7))
    w, image = Weights(network), random_image(2, 3, *size)
    x = leaky(w.conv("features.0", image))
    for block, stride in enumerate((2, 1, 2, 1, 2, 1, 2)):
        x = leaky(w.norm(f"features.{3 * block + 3}", w.conv(f"features.{3 * block + 2}", x, stride)))
    plain = w.linear("head.2", leaky(w.linear("head.0", pooled(x, 6))))
    check(network(image), plain, w)


def test_esrgan_discriminator() -> None:
    network = randomised(ESRGANDiscriminator(nf=2))
    w, image = Weights(network), random_image(2, 3, 128, 128)
    x = leaky(w.conv("features.0", image))
    for block, stride in enumerate((2, 1, 2, 1, 2, 1, 2, 1, 2)):
        x = leaky(w.norm(f"features.{3 * block + 3}", w.conv(f"features.{3 * block + 2}", x, stride)))
    assert x.shape == (2, 16, 4, 4)
    plain = w.linear("head.2", leaky(w.linear("head.0", x.flatten(1))))
    check(network(image), plain, w)
    with pytest.raises(GramganError, match="takes 128 x 128 crops, not 96 x 128"):
        network(random_image(1, 3, 96, 128))


def test_ttsr_discriminator() -> None:
    network = randomised(TTSRDiscriminator(nf=2, size=64))
    w, image = Weights(network), random_image(2, 3, 64, 64)
    x = 2 * image - 1
    for layer in range(10):
        x = leaky(w.conv(f"features.{2 * layer}", x, 1 + layer % 2))
    plain = w.linear("head.2", leaky(w.linear("head.0", x.flatten(1))))
    check(network(image), plain, w)
    with pytest.raises(GramganError, match="built for 64 x 64 crops, not 64 x 96"):
        network(random_image(1, 3, 64, 96))


def test_gramgan_discriminator() -> None:
    network = randomised(DiscriminatorVGGStyle(nf=2))
    w, image = Weights(network), random_image(2, 3, 70, 64)
    x, maps = image, []
    for layer in range(11):
        x = leaky(w.conv(f"convs.{layer}", x, 2 if layer % 2 == 1 else 1))
        maps.append(x)
    plain = w.linear("linear2", leaky(w.linear("linear1", x.mean((2, 3)))))
    logit, shallow, deep = network(image)
    check(logit, plain, w)
    check(shallow, maps[4], w)
    check(deep, maps[10], w)


@pytest.mark.parametrize(
    ("network", "hyperparameters", "count"),
    [
        ("srresnet", {}, 1_549_462),
        ("ttsr", {}, 6_729_603),
        (SRGANDiscriminator, {}, 23_565_505),
        (ESRGANDiscriminator, {}, 14_499_401),
        (TTSRDiscriminator, {}, 17_821_473),
    ],
)
def test_parameter_counts(network: Any, hyperparameters: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        built = archs.build(network, hyperparameters) if isinstance(network, str) else network(**hyperparameters)
    assert archs.parameter_count(built) == count
