"""PLKSR: large kernels on part of the channels (Lee, Yun and Ro 2024, "Partial Large Kernel CNNs", arXiv 2404.11848).

All convolutions run at LR size. Parameters are named as in the published checkpoints, so other tools can load them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.archs.descriptor import Descriptor, check_equal_channels


class PartialLargeKernel(nn.Module):
    """A large convolution on the first ``channels`` channels; the others are passed through (section 3.2)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(channels, channels, kernel, 1, kernel // 2)
        nn.init.trunc_normal_(self.conv.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        return torch.cat((self.conv(x[:, : self.channels]), x[:, self.channels :]), dim=1)


class ElementAttention(nn.Module):
    """x multiplied by the sigmoid of a 3x3 convolution of x (section 3.3)."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(nf, nf, 3, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        out: Tensor = x * self.f(x)
        return out


class PLKBlock(nn.Module):
    """x + (two 3x3 convolutions, large kernel, attention, 1x1 convolution) (figure 2)."""

    def __init__(self, nf: int, channels: int, kernel: int) -> None:
        super().__init__()
        # spelled as in the published checkpoints
        self.channe_mixer = nn.Sequential(nn.Conv2d(nf, 2 * nf, 3, 1, 1), nn.GELU(), nn.Conv2d(2 * nf, nf, 3, 1, 1))
        self.lk = PartialLargeKernel(channels, kernel)
        self.attn = ElementAttention(nf)
        self.refine = nn.Conv2d(nf, nf, 1)
        nn.init.trunc_normal_(self.refine.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        out: Tensor = x + self.refine(self.attn(self.lk(self.channe_mixer(x))))
        return out


class PLKSR(nn.Module):
    """RGB in [0, 1], (B, in_nc, h, w) -> (B, out_nc, scale h, scale w), not clamped.

    Args:
        in_nc, out_nc: channels of input and output; equal, because the upsampled input is added to the output.
        nf: feature channels, at least 4.
        nb: blocks (28 in the paper, 12 in its small version).
        kernel: side of the large kernel, odd (17 in the paper, 13 in its small version).
        scale: PixelShuffle factor.
    """

    def __init__(
        self, in_nc: int = 3, out_nc: int = 3, nf: int = 64, nb: int = 12, kernel: int = 13, scale: int = 4
    ) -> None:
        super().__init__()
        check_equal_channels("PLKSR", in_nc, out_nc)
        if kernel % 2 == 0:
            raise ValueError(f"PLKSR's kernel size must be odd, not {kernel}")
        if nf < 4:
            raise ValueError(f"PLKSR needs at least 4 feature channels, not {nf}")
        self.scale = scale
        blocks = [PLKBlock(nf, nf // 4, kernel) for _ in range(nb)]
        self.feats = nn.Sequential(nn.Conv2d(in_nc, nf, 3, 1, 1), *blocks, nn.Conv2d(nf, out_nc * scale**2, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, h, w) in [0, 1] -> RGB (B, out_nc, scale h, scale w), not clamped."""
        out: Tensor = self.feats(x) + x.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(out, self.scale)


def describe_plksr(
    in_nc: int = 3, out_nc: int = 3, nf: int = 64, nb: int = 12, kernel: int = 13, scale: int = 4
) -> Descriptor:
    """Return the descriptor. First and last convolution add 1 px each, every block 3 + kernel // 2 px."""
    del nf
    return Descriptor(
        arch="plksr",
        scale=scale,
        in_channels=in_nc,
        out_channels=out_nc,
        multiple_of=1,
        receptive_radius=2 + nb * (3 + kernel // 2),
        dtypes=("fp32", "bf16", "fp16"),
    )
