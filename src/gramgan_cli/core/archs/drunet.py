"""DRUNet: a residual U-Net that cleans an image at its own size (Zhang et al. 2021, arXiv 2008.13751, section 3.2).

All layers are free of biases. Parameters are named as in the published checkpoints. Those have one more input channel,
the noise level, which this network estimates itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gramgan_cli.core.archs.descriptor import Descriptor

STEP = 8
"""Ratio of the finest to the coarsest level's side."""


def _convolution(width: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(width, out, 3, 1, 1, bias=False)


class ResidualBlock(nn.Module):
    """x + convolution, ReLU, convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res = nn.Sequential(_convolution(width, width), nn.ReLU(), _convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, width, h, w)."""
        out: Tensor = x + self.res(x)
        return out


def _blocks(width: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(width) for _ in range(count)]


class DRUNet(nn.Module):
    """RGB in [0, 1], (B, in_nc, h, w) -> (B, out_nc, h, w), not clamped; h and w are multiples of 8.

    Three times, ``nb`` residual blocks are followed by a 2x2 convolution of stride 2; then ``nb`` blocks at the
    coarsest level; then three times a 2x2 transposed convolution and ``nb`` blocks. Features of equal size are added.

    Args:
        in_nc, out_nc: channels of input and output.
        nc: channels of the four levels, finest first (64, 128, 256, 512 in the paper).
        nb: residual blocks per level and direction (4 in the paper).
        scale: 1.
    """

    def __init__(
        self, in_nc: int = 3, out_nc: int = 3, nc: Sequence[int] = (32, 48, 64, 80), nb: int = 2, scale: int = 1
    ) -> None:
        super().__init__()
        if scale != 1:
            raise ValueError(f"DRUNet keeps the size, so its scale is 1, not {scale}")
        if len(nc) != 4 or min(nc) < 1:
            raise ValueError(f"DRUNet's nc is the channels of four levels, not {list(nc)}")
        self.m_head = _convolution(in_nc, nc[0])
        for level in (1, 2, 3):
            fine, coarse = nc[level - 1], nc[level]
            down, up = nn.Conv2d(fine, coarse, 2, 2, bias=False), nn.ConvTranspose2d(coarse, fine, 2, 2, bias=False)
            setattr(self, f"m_down{level}", nn.Sequential(*_blocks(fine, nb), down))
            setattr(self, f"m_up{level}", nn.Sequential(up, *_blocks(fine, nb)))
        self.m_body = nn.Sequential(*_blocks(nc[3], nb))
        self.m_tail = _convolution(nc[0], out_nc)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, h, w) in [0, 1] -> RGB (B, out_nc, h, w), not clamped."""
        levels = [self.m_head(x)]
        for level in (1, 2, 3):
            levels.append(getattr(self, f"m_down{level}")(levels[-1]))
        features = self.m_body(levels[-1])
        for level in (3, 2, 1):
            features = getattr(self, f"m_up{level}")(features + levels[level])
        out: Tensor = self.m_tail(features + levels[0])
        return out


def describe_drunet(
    in_nc: int = 3, out_nc: int = 3, nc: Sequence[int] = (32, 48, 64, 80), nb: int = 2, scale: int = 1
) -> Descriptor:
    """Return the descriptor.

    Each block has two convolutions of radius 1, at its level's pixel size (1, 2, 4, 8), and all but the coarsest level
    have blocks in both directions. First and last convolution add 1 px each, the 2x2 convolutions up to 7 px.
    """
    del nc
    blocks = 2 * nb * (2 * (1 + 2 + 4) + STEP)
    return Descriptor(
        arch="drunet",
        scale=scale,
        in_channels=in_nc,
        out_channels=out_nc,
        multiple_of=STEP,
        receptive_radius=2 + blocks + STEP - 1,
        dtypes=("fp32", "bf16", "fp16"),
    )
