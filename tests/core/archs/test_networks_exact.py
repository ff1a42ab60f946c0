"""Every network against a second, plain version: functions written layer by layer from the systems' tables.

The plain versions know nothing of the modules: they take the weights as a list in the order of the tables, in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators.esrgan import ESRGANDiscriminator
from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle
from gramgan_cli.core.archs.discriminators.srgan import SRGANDiscriminator
from gramgan_cli.core.archs.discriminators.ttsr import TTSRDiscriminator
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.resize import matlab as resize

TOLERANCE = 1e-6


class Weights:
    """Hands out a network's tensors by name; at the end every one must have been used."""

    def __init__(self, network: nn.Module) -> None:
        self.tensors = dict(network.state_dict())
        self.unused = {name for name in self.tensors if not name.endswith("num_batches_tracked")}

    def __call__(self, name: str) -> Tensor:
        self.unused.discard(name)
        return self.tensors[name]

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """A convolution whose padding keeps the size (4x4 with stride 2: halves it), as a sum over its taps."""
        weight = self(f"{name}.weight")
        out_channels, _, side, _ = weight.shape
        pad = (side - 1) // 2
        height, width = (-(-n // stride) for n in x.shape[-2:])
        padded = F.pad(x, (pad, pad + side, pad, pad + side))
        total = torch.zeros(len(x), out_channels, height, width, dtype=x.dtype)
        for i in range(side):
            for j in range(side):
                window = padded[:, :, i : i + stride * height : stride, j : j + stride * width : stride]
                total += torch.einsum("oc,bchw->bohw", weight[:, :, i, j], window)
        if f"{name}.bias" in self.tensors:
            total += self(f"{name}.bias").view(1, -1, 1, 1)
        return total

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Batch normalisation by the running statistics."""
        mean, variance = self(f"{name}.running_mean"), self(f"{name}.running_var")
        scale = self(f"{name}.weight") / (variance + 1e-5).sqrt()
        return (x - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1) + self(f"{name}.bias").view(1, -1, 1, 1)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self(f"{name}.weight").T + self(f"{name}.bias")

    def prelu(self, name: str, x: Tensor) -> Tensor:
        slope = self(f"{name}.weight").view(1, -1, 1, 1)
        return torch.where(x > 0, x, slope * x)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Channel c f^2 + i f + j goes to pixel (i, j) of each f x f block of channel c."""
    batch, channels, height, width = x.shape
    out = torch.empty(batch, channels // factor**2, factor * height, factor * width, dtype=x.dtype)
    for i in range(factor):
        for j in range(factor):
            out[:, :, i::factor, j::factor] = x[:, i * factor + j :: factor**2]
    return out


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """The inverse of ``shuffle``."""
    batch, channels, height, width = x.shape
    out = torch.empty(batch, channels * factor**2, height // factor, width // factor, dtype=x.dtype)
    for i in range(factor):
        for j in range(factor):
            out[:, i * factor + j :: factor**2] = x[:, :, i::factor, j::factor]
    return out


def repeat(x: Tensor, factor: int) -> Tensor:
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def randomised(network: nn.Module) -> nn.Module:
    """Float64, in evaluation mode, with statistics and parameters that differ everywhere."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.3, 0.3)
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return network.double().eval()


def random_image(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def check(mine: Tensor, plain: Tensor, weights: Weights) -> None:
    """Equal to 1e-6 of the largest value, with every weight used, and not trivially flat."""
    mine, plain = mine.detach(), plain.detach()
    assert mine.shape == plain.shape
    scale = float(plain.abs().max())
    assert scale > 0
    assert float(plain.std() if plain.numel() > 1 else scale) > 0
    assert float((mine - plain).abs().max()) <= TOLERANCE * scale
    assert not weights.unused


def plain_rrdbnet(w: Weights, x: Tensor, nb: int, scale: int, upsampler: str) -> Tensor:
    """Section 1.1, and section 3 for ``nearest`` and scales 1 and 2."""
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
    """Section 2; ``tutorial`` is write-up B: ImageNet-normalised input, tanh output."""
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
    """3x3 convolutions and PReLU at LR size, PixelShuffle, plus the nearest-enlarged input."""
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
    """Means over the cells floor(i n / side) .. ceil((i + 1) n / side), as adaptive pooling is defined."""
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


def cubic(distance: float) -> float:
    """Keys' kernel with a = -0.75, the one of PyTorch's bicubic resize."""
    a, x = -0.75, abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def up(x: Tensor, factor: int) -> Tensor:
    """Bicubic enlargement as a matrix per axis, with the edge repeated."""

    def matrix(length: int) -> Tensor:
        out = torch.zeros(factor * length, length, dtype=torch.float64)
        for row in range(factor * length):
            centre = (row + 0.5) / factor - 0.5
            for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
                out[row, min(max(tap, 0), length - 1)] += cubic(centre - tap)
        return out

    return torch.einsum("ih,bchw,jw->bcij", matrix(x.shape[-2]), x, matrix(x.shape[-1]))


def plain_lte(w: Weights, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Section 4: ReLU after each of VGG19's convolutions 0, 2, 5, 7, 10; pools before 5 and 10."""
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=image.dtype).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225], dtype=image.dtype).view(1, 3, 1, 1)

    def pool(x: Tensor) -> Tensor:
        return torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)

    name = "extractor.features"
    one = relu(w.conv(f"{name}.0", (image - mean) / deviation))
    two = relu(w.conv(f"{name}.5", pool(relu(w.conv(f"{name}.2", one)))))
    return one, two, relu(w.conv(f"{name}.10", pool(relu(w.conv(f"{name}.7", two)))))


def plain_texture(q: Tensor, k: Tensor, v: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Search and hard attention for one picture, patch by patch: S (h, w) and T of the three levels."""
    height, width = q.shape[1:]
    border = np.pad(q.numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    places = [(y, x) for y in range(1, k.shape[1] - 1) for x in range(1, k.shape[2] - 1)]
    keys = np.stack([k.numpy()[:, y - 1 : y + 2, x - 1 : x + 2].ravel() for y, x in places])
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    scores = torch.zeros(height, width, dtype=torch.float64)
    totals = [torch.zeros(m.shape[0], f * (height + 2), f * (width + 2)) for m, f in zip(v, (4, 2, 1), strict=True)]
    totals = [total.double() for total in totals]
    counts = [torch.zeros_like(total) for total in totals]
    for row in range(height):
        for column in range(width):
            patch = border[:, row : row + 3, column : column + 3].ravel()
            products = keys @ (patch / np.linalg.norm(patch))
            best = int(products.argmax())
            scores[row, column] = float(products[best])
            y, x = places[best]
            for level, f in enumerate((4, 2, 1)):
                to = (..., slice(f * row, f * (row + 3)), slice(f * column, f * (column + 3)))
                totals[level][to] += v[level][:, f * (y - 1) : f * (y + 2), f * (x - 1) : f * (x + 2)]
                counts[level][to] += 1
    return scores, [(t / c)[:, f:-f, f:-f] for t, c, f in zip(totals, counts, (4, 2, 1), strict=True)]


def plain_main(w: Weights, lr: Tensor, t1: Tensor, t2: Tensor, t3: Tensor, s: Tensor, blocks: list[int]) -> Tensor:
    """Section 4's main net, in its order."""

    def conv(name: str, *parts: Tensor, stride: int = 1) -> Tensor:
        return w.conv(f"main.{name}", torch.cat(parts, 1), stride)

    def trunk(name: str, x: Tensor, count: int) -> Tensor:
        for block in range(count):
            inner = relu(conv(f"{name}.blocks.{block}.conv1", x))
            x = x + conv(f"{name}.blocks.{block}.conv2", inner)
        return conv(f"{name}.tail", x)

    x1 = relu(conv("conv_first", lr))
    x1 = x1 + trunk("shallow", x1, blocks[0])
    x1 = x1 + conv("inject3.conv", x1, t3) * s
    x1 = x1 + trunk("trunk11", x1, blocks[1])

    x2 = relu(shuffle(conv("double12.conv", x1), 2))
    x2 = x2 + conv("inject2.conv", x2, t2) * up(s, 2)
    y1 = relu(conv("csfi2.merge1", x1, relu(conv("csfi2.down21", x2, stride=2))))
    y2 = relu(conv("csfi2.merge2", x2, relu(conv("csfi2.up12", up(x1, 2)))))
    x1 = x1 + trunk("trunk21", y1, blocks[2])
    x2 = x2 + trunk("trunk22", y2, blocks[2])

    x3 = relu(shuffle(conv("double23.conv", x2), 2))
    x3 = x3 + conv("inject1.conv", x3, t1) * up(s, 4)
    down31 = relu(conv("csfi3.down31.2", relu(conv("csfi3.down31.0", x3, stride=2)), stride=2))
    y1 = relu(conv("csfi3.merge1", x1, relu(conv("csfi3.down21", x2, stride=2)), down31))
    y2 = relu(conv("csfi3.merge2", x2, relu(conv("csfi3.up12", up(x1, 2))), relu(conv("csfi3.down32", x3, stride=2))))
    y3 = relu(conv("csfi3.merge3", x3, relu(conv("csfi3.up13", up(x1, 4))), relu(conv("csfi3.up23", up(x2, 2)))))
    x1 = x1 + trunk("trunk31", y1, blocks[3])
    x2 = x2 + trunk("trunk32", y2, blocks[3])
    x3 = x3 + trunk("trunk33", y3, blocks[3])

    merged = relu(
        conv("merge_tail.merge", x3, relu(conv("merge_tail.up13", up(x1, 4))), relu(conv("merge_tail.up23", up(x2, 2))))
    )
    return conv("merge_tail.tail2", conv("merge_tail.tail1", merged))


def matlab(image: Tensor, scale: float) -> Tensor:
    """The numpy resize on (1, 3, H, W)."""
    return torch.from_numpy(resize.imresize(image[0].permute(1, 2, 0).numpy(), scale)).permute(2, 0, 1)[None]


@torch.no_grad()
def test_ttsr() -> None:
    blocks = [2, 1, 2, 1]
    network = randomised(archs.build("ttsr", {"nf": 6, "blocks": blocks}))
    assert isinstance(network, TTSR)
    for parameter in network.main.parameters():
        parameter.mul_(0.5)
    lr, ref = random_image(1, 3, 5, 7), random_image(1, 3, 23, 30)
    w, cut = Weights(network), ref[..., :20, :28]
    q = plain_lte(w, matlab(lr, 4.0))[2][0]
    k = plain_lte(w, matlab(matlab(cut, 0.25), 4.0))[2][0]
    v1, v2, v3 = (level[0] for level in plain_lte(w, cut))
    scores, (t1, t2, t3) = plain_texture(q, k, (v1, v2, v3))
    plain = plain_main(w, 2 * lr - 1, t1[None], t2[None], t3[None], scores[None, None], blocks)

    network.train()
    sr, texture = network(lr, ref, with_texture=True)
    check(texture.match.scores[0, 0], scores, w)
    for mine, expected in zip(texture.levels, (t1, t2, t3), strict=True):
        check(mine[0], expected, w)
    check(2 * sr - 1, plain, w)
    # Outside [0, 1] is cut in evaluation only.
    assert float(sr.min()) < 0 or float(sr.max()) > 1
    assert torch.equal(network.eval()(lr, ref), sr.clamp(0, 1))


def layers(*rows: tuple[int, int, int]) -> Iterator[int]:
    """Parameters of convolutions with bias, given as (side, in, out)."""
    return (side * side * i * o + o for side, i, o in rows)


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


def test_parameter_counts_of_ttsr_s_parts() -> None:
    with torch.device("meta"):
        network = archs.build("ttsr", {})
    assert isinstance(network, TTSR)
    vgg = sum(layers((3, 3, 64), (3, 64, 64), (3, 64, 128), (3, 128, 128), (3, 128, 256)))
    assert archs.parameter_count(network.extractor) == vgg == 555_328
    blocks, trunks = 2 * (16 + 16 + 2 * 8 + 3 * 4), 1 + 1 + 2 + 3
    main = sum(layers((3, 3, 64), *[(3, 64, 64)] * (blocks + trunks), (3, 320, 64), (3, 192, 64), (3, 128, 64)))
    main += sum(layers(*[(3, 64, 256)] * 2, *[(1, 64, 64)] * 6, *[(3, 64, 64)] * 5))
    main += sum(layers(*[(3, 128, 64)] * 2, *[(3, 192, 64)] * 4, (3, 64, 32), (1, 32, 3)))
    assert archs.parameter_count(network.main) == main == 6_174_275
