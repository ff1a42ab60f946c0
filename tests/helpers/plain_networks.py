"""Building blocks of plain float64 networks for tests: weights by name and common layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOLERANCE = 1e-6


class Weights:
    """Gives a network's tensors by name; at the end, all must have been used."""

    def __init__(self, network: nn.Module) -> None:
        self.tensors = dict(network.state_dict())
        self.unused = {name for name in self.tensors if not name.endswith("num_batches_tracked")}

    def __call__(self, name: str) -> Tensor:
        self.unused.discard(name)
        return self.tensors[name]

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """A convolution as a sum over its taps, with padding that keeps the size (4x4 with stride 2: halves it)."""
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
        """Batch normalisation with the running statistics."""
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
    """PixelShuffle: channel c f^2 + i f + j becomes pixel (i, j) of each f x f block of channel c."""
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
    """The network in float64 and evaluation mode, with random statistics and parameters."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.3, 0.3)
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return network.double().eval()


def random_image(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def check(mine: Tensor, plain: Tensor, weights: Weights) -> None:
    """Assert equality to 1e-6 of the largest value, that all weights were used, and that the output varies."""
    mine, plain = mine.detach(), plain.detach()
    assert mine.shape == plain.shape
    scale = float(plain.abs().max())
    assert scale > 0
    assert float(plain.std() if plain.numel() > 1 else scale) > 0
    assert float((mine - plain).abs().max()) <= TOLERANCE * scale
    assert not weights.unused
