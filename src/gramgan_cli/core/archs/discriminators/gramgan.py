"""Gram-GAN's discriminator (Song et al. 2023, Sensors 23(4), 2098)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2

STAGES = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2), (16, 1), (16, 2), (16, 1))
"""(channel multiple of nf, stride) of the eleven convolutions."""

SHALLOW, DEEP = 5, 11
"""Convolutions after which the two feature maps are taken, counted from 1."""


class Judgement(NamedTuple):
    """Output of the discriminator for a batch."""

    logit: Tensor
    """(B, 1)."""
    shallow: Tensor
    """After conv 5 and its activation: (B, 4 nf, ceil(H/4), ceil(W/4))."""
    deep: Tensor
    """After conv 11 and its activation: (B, 16 nf, ceil(H/32), ceil(W/32))."""


class DiscriminatorVGGStyle(nn.Module):
    """Eleven 3x3 convolutions without normalisation, global average pooling and two linear layers. Any input size.

    Weights start Kaiming-normal for the LeakyReLU slope. Without normalisation, PyTorch's default would attenuate the
    signal to a few thousandths over eleven layers.

    Args:
        in_nc: input channels.
        nf: channels of the first convolution; 64 in the paper.
    """

    def __init__(self, in_nc: int = 3, nf: int = 64) -> None:
        super().__init__()
        widths = [in_nc, *(factor * nf for factor, _ in STAGES)]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 3, stride, 1) for i, (_, stride) in enumerate(STAGES)
        )
        self.linear1 = nn.Linear(widths[-1], 100)
        self.linear2 = nn.Linear(100, 1)
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            nn.init.kaiming_normal_(conv.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Judgement:
        """RGB (B, in_nc, H, W) in [0, 1], sides of at least 1 px -> logit and both maps.

        No activation works in place, so returned maps are never overwritten.
        """
        maps: dict[int, Tensor] = {}
        for number, conv in enumerate(self.convs, start=1):
            x = F.leaky_relu(conv(x), SLOPE)
            if number in (SHALLOW, DEEP):
                maps[number] = x
        hidden = F.leaky_relu(self.linear1(x.mean(dim=(2, 3))), SLOPE)
        return Judgement(self.linear2(hidden), maps[SHALLOW], maps[DEEP])
