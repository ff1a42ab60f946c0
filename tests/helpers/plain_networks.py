"""Plain networks for tests: weights by name, and the layers that all of them have, in float64."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
