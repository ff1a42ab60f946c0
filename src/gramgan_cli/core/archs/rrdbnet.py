"""RRDBNet: the generator of ESRGAN (Wang et al. 2018) and of Gram-GAN (Song et al. 2023)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.archs.descriptor import Descriptor
from gramgan_cli.core.archs.initialise import icnr_, scaled_kaiming_

Upsampler = Literal["pixelshuffle", "nearest"]

STAGES = {1: (2, 2), 2: (2, 2), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""Factors of the upsampling steps for each scale."""

UNSHUFFLE = {1: 4, 2: 2}
"""Factor of the initial pixel-unshuffle for each scale that has one."""

RESIDUAL_SCALE = 0.2
SLOPE = 0.2


class ResidualDenseBlock(nn.Module):
    """Five 3x3 convolutions with dense connections: each sees the block's input and all earlier outputs.

    (B, nf, h, w) -> (B, nf, h, w): x + 0.2 x conv5 (ESRGAN, section 3.1).
    """

    def __init__(self, nf: int, gc: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(nf, gc, 3, 1, 1)
        self.conv2 = nn.Conv2d(nf + gc, gc, 3, 1, 1)
        self.conv3 = nn.Conv2d(nf + 2 * gc, gc, 3, 1, 1)
        self.conv4 = nn.Conv2d(nf + 3 * gc, gc, 3, 1, 1)
        self.conv5 = nn.Conv2d(nf + 4 * gc, nf, 3, 1, 1)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            scaled_kaiming_(conv, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, F.leaky_relu(conv(seen), SLOPE)), 1)
        out: Tensor = x + RESIDUAL_SCALE * self.conv5(seen)
        return out


class RRDB(nn.Module):
    """Residual-in-residual dense block: x + 0.2 x the output of three dense blocks."""

    def __init__(self, nf: int, gc: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(nf, gc)
        self.rdb2 = ResidualDenseBlock(nf, gc)
        self.rdb3 = ResidualDenseBlock(nf, gc)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        out: Tensor = x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))
        return out


class RRDBNet(nn.Module):
    """RGB in [0, 1], (B, in_nc, h, w) -> (B, out_nc, scale h, scale w), not clamped.

    Args:
        in_nc, out_nc: channels of input and output.
        nf: feature channels.
        nb: number of RRDBs.
        gc: growth channels in the dense blocks.
        scale: 1, 2, 3, 4 or 8, with one (x3), two (x4) or three (x8) upsampling steps. For 2 and 1, the input is first
            pixel-unshuffled by 2 and 4, so its sides must be multiples of that.
        upsampler: 'pixelshuffle' (Gram-GAN) or 'nearest' (ESRGAN; the layout that other tools load).
    """

    def __init__(
        self,
        in_nc: int = 3,
        out_nc: int = 3,
        nf: int = 64,
        nb: int = 23,
        gc: int = 32,
        scale: int = 4,
        upsampler: Upsampler = "pixelshuffle",
    ) -> None:
        super().__init__()
        if scale not in STAGES:
            raise ValueError(f"RRDBNet's scale must be one of {', '.join(map(str, STAGES))}, not {scale}")
        if upsampler not in ("pixelshuffle", "nearest"):
            raise ValueError(f"RRDBNet's upsampler must be 'pixelshuffle' or 'nearest', not {upsampler!r}")
        self.upsampler = upsampler
        self.unshuffle, self.stages = UNSHUFFLE.get(scale, 1), STAGES[scale]
        self.conv_first = nn.Conv2d(in_nc * self.unshuffle**2, nf, 3, 1, 1)
        self.trunk = nn.Sequential(*(RRDB(nf, gc) for _ in range(nb)))
        self.trunk_conv = nn.Conv2d(nf, nf, 3, 1, 1)
        for number, factor in enumerate(self.stages, 1):
            shuffled = factor**2 if upsampler == "pixelshuffle" else 1
            setattr(self, f"upconv{number}", nn.Conv2d(nf, nf * shuffled, 3, 1, 1))
        self.hr_conv = nn.Conv2d(nf, nf, 3, 1, 1)
        self.conv_last = nn.Conv2d(nf, out_nc, 3, 1, 1)
        if upsampler == "pixelshuffle":
            for number, factor in enumerate(self.stages, 1):
                conv: nn.Conv2d = getattr(self, f"upconv{number}")
                icnr_(conv.weight, factor)
                assert conv.bias is not None
                icnr_(conv.bias, factor)

    def _enlarge(self, x: Tensor, conv: nn.Conv2d, factor: int) -> Tensor:
        """Upsample (B, nf, h, w) -> (B, nf, factor h, factor w), with activation."""
        if self.upsampler == "pixelshuffle":
            return F.leaky_relu(F.pixel_shuffle(conv(x), factor), SLOPE)
        return F.leaky_relu(conv(F.interpolate(x, scale_factor=factor, mode="nearest")), SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, h, w) in [0, 1] -> RGB (B, out_nc, scale h, scale w), not clamped."""
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        features = self.conv_first(x)
        features = features + self.trunk_conv(self.trunk(features))
        for number, factor in enumerate(self.stages, 1):
            features = self._enlarge(features, getattr(self, f"upconv{number}"), factor)
        out: Tensor = self.conv_last(F.leaky_relu(self.hr_conv(features), SLOPE))
        return out


UNSHUFFLED_MULTIPLE = 4
"""Required multiple of input sides at scales 1 and 2. At scale 2 a multiple of 2 would do, but spandrel pads to 4
too."""


def describe_rrdbnet(
    in_nc: int = 3, out_nc: int = 3, nf: int = 64, nb: int = 23, gc: int = 32, scale: int = 4, upsampler: str = ""
) -> Descriptor:
    """Return the descriptor.

    Receptive radius: 1 px for conv_first, 15 per RRDB, 1 for trunk_conv, 1 for upconv1, and at most 1 for the rest,
    multiplied by the unshuffle factor.
    """
    del nf, gc, upsampler
    unshuffle = UNSHUFFLE.get(scale, 1)
    radius = 1 + 15 * nb + 1 + 1 + 1
    return Descriptor(
        arch="rrdbnet",
        scale=scale,
        in_channels=in_nc,
        out_channels=out_nc,
        multiple_of=UNSHUFFLED_MULTIPLE if unshuffle > 1 else 1,
        receptive_radius=radius * unshuffle,
        dtypes=("fp32", "bf16", "fp16"),
    )
