"""Real-ESRGAN's U-Net discriminator with spectral normalisation (Wang et al. 2021, ICCVW, section 3.4)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2

MULTIPLE = 8
"""Image sides must be multiples of this, because they are halved three times."""


def _down(width: int, wider: int) -> nn.Module:
    """Return a convolution that halves the side."""
    return spectral_norm(nn.Conv2d(width, wider, 4, 2, 1, bias=False))


def _flat(width: int, narrower: int) -> nn.Module:
    """Return a convolution that keeps the side."""
    return spectral_norm(nn.Conv2d(width, narrower, 3, 1, 1, bias=False))


class UNetDiscriminator(nn.Module):
    """U-Net that returns one logit per pixel.

    A 3x3 convolution, three that halve the side and double the channels, three upsampling steps (bilinear, then 3x3)
    with additive skip connections, two 3x3 convolutions and the output convolution. All but the first and the last have
    spectral normalisation (Miyato et al. 2018).

    Args:
        in_nc: input channels.
        nf: channels of the first convolution; 64 in the paper.
    """

    def __init__(self, in_nc: int = 3, nf: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_nc, nf, 3, 1, 1)
        self.down = nn.ModuleList([_down(nf, 2 * nf), _down(2 * nf, 4 * nf), _down(4 * nf, 8 * nf)])
        self.up = nn.ModuleList([_flat(8 * nf, 4 * nf), _flat(4 * nf, 2 * nf), _flat(2 * nf, nf)])
        self.smooth = nn.ModuleList([_flat(nf, nf), _flat(nf, nf)])
        self.last = nn.Conv2d(nf, 1, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, H, W) in [0, 1], sides multiples of 8 -> logits (B, 1, H, W)."""
        x = F.leaky_relu(self.first(x), SLOPE)
        passed = []
        for conv in self.down:
            passed.append(x)
            x = F.leaky_relu(conv(x), SLOPE)
        for conv in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(x), SLOPE) + passed.pop()
        for conv in self.smooth:
            x = F.leaky_relu(conv(x), SLOPE)
        logits: Tensor = self.last(x)
        return logits
