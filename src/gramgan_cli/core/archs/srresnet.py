"""SRResNet (Ledig et al. 2017), the generator of SRGAN."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.archs.descriptor import Descriptor
from gramgan_cli.core.archs.initialise import icnr_

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ResidualBlock(nn.Module):
    """x + (conv 3x3, BN, PReLU, conv 3x3, BN). Each convolution has its own BN."""

    def __init__(self, nf: int, bias: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(nf, nf, 3, 1, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(nf)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(nf, nf, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(nf)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))  # type: ignore[no-any-return]


class UpsampleBlock(nn.Module):
    """Upsample by 2, (B, nf, h, w) -> (B, nf, 2h, 2w): conv to 4 nf, PixelShuffle 2, PReLU."""

    def __init__(self, nf: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(nf, 4 * nf, 3, 1, 1, bias=bias)
        self.prelu = nn.PReLU()
        icnr_(self.conv.weight, 2)
        if self.conv.bias is not None:
            icnr_(self.conv.bias, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, 2h, 2w)."""
        return self.prelu(F.pixel_shuffle(self.conv(x), 2))  # type: ignore[no-any-return]


class SRResNet(nn.Module):
    """RGB in [0, 1], (B, in_nc, h, w) -> (B, out_nc, scale h, scale w), not clamped.

    Args:
        in_nc, out_nc: channels of input and output.
        nf: feature channels.
        nb: residual blocks.
        scale: 2 or 4 (one or two sub-pixel blocks).
        input_range: 'unit' uses [0, 1]; 'imagenet' normalises by ImageNet's mean and standard deviation first.
        output: 'linear', or 'tanh', whose [-1, 1] is mapped to [0, 1].
        bias: whether the convolutions have a bias.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        in_nc: int = 3,
        out_nc: int = 3,
        nf: int = 64,
        nb: int = 16,
        scale: int = 4,
        input_range: Literal["unit", "imagenet"] = "unit",
        output: Literal["linear", "tanh"] = "linear",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if scale not in (2, 4):
            raise ValueError(f"SRResNet's scale must be 2 or 4, not {scale}")
        if input_range not in ("unit", "imagenet"):
            raise ValueError(f"SRResNet's input_range must be 'unit' or 'imagenet', not {input_range!r}")
        if output not in ("linear", "tanh"):
            raise ValueError(f"SRResNet's output must be 'linear' or 'tanh', not {output!r}")
        self.input_range = input_range
        self.output = output
        if input_range == "imagenet" and in_nc != 3:
            raise ValueError("SRResNet's input_range 'imagenet' is for RGB: set input_range='unit' for other channels")
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(in_nc, nf, 9, 1, 4, bias=bias)
        self.prelu = nn.PReLU()
        self.blocks = nn.Sequential(*(ResidualBlock(nf, bias) for _ in range(nb)))
        self.trunk_conv = nn.Conv2d(nf, nf, 3, 1, 1, bias=bias)
        self.trunk_bn = nn.BatchNorm2d(nf)
        self.upsample = nn.Sequential(*(UpsampleBlock(nf, bias) for _ in range(scale // 2)))
        self.conv_last = nn.Conv2d(nf, out_nc, 9, 1, 4, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, h, w) in [0, 1] -> RGB (B, out_nc, scale h, scale w), not clamped (tanh: inside [0, 1])."""
        if self.input_range == "imagenet":
            x = (x - self.mean) / self.std
        first = self.prelu(self.conv_first(x))
        features = first + self.trunk_bn(self.trunk_conv(self.blocks(first)))
        out: Tensor = self.conv_last(self.upsample(features))
        return (torch.tanh(out) + 1) / 2 if self.output == "tanh" else out


def describe_srresnet(
    in_nc: int = 3,
    out_nc: int = 3,
    nf: int = 64,
    nb: int = 16,
    scale: int = 4,
    input_range: str = "unit",
    output: str = "linear",
    bias: bool = True,
) -> Descriptor:
    """Return the descriptor.

    Receptive radius: 4 px for the first 9x9, 2 per block, 1 for the trunk convolution, 1 and 0.5 for the sub-pixel
    blocks, and 4 / scale for the last 9x9, which runs at output size.
    """
    del nf, input_range, output, bias
    upsampling = sum(0.5**i for i in range(scale // 2))
    radius = 4 + 2 * nb + 1 + upsampling + 4 / scale
    return Descriptor(
        arch="srresnet",
        scale=scale,
        in_channels=in_nc,
        out_channels=out_nc,
        multiple_of=1,
        receptive_radius=int(-(-radius // 1)),
        dtypes=("fp32", "bf16", "fp16"),
    )
