"""The discriminator of SRGAN (Ledig et al. 2017, figure 4), for any input size."""

from __future__ import annotations

from torch import Tensor, nn

SLOPE = 0.2
POOLED = 6
"""Output side of the adaptive pool: the size of the paper's 96 x 96 crops after four halvings."""


class SRGANDiscriminator(nn.Module):
    """RGB in [0, 1], (B, in_nc, H, W) -> logits (B, 1), unbounded; any H, W >= 1.

    Eight 3x3 convolutions, (channels, stride) 64/1, 64/2, 128/1, 128/2, 256/1, 256/2, 512/1, 512/2, with LeakyReLU 0.2
    and, for all but the first, BN. Adaptive average pool to 6 x 6, Linear to 1024, LeakyReLU, Linear to 1. There is no
    sigmoid, because the losses take logits. 23 565 505 parameters by default.

    Args:
        in_nc: input channels.
        nf: channels of the first convolution; the others have 1, 2, 4 and 8 times as many.
        hidden: width of the first linear layer.
    """

    def __init__(self, in_nc: int = 3, nf: int = 64, hidden: int = 1024) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_nc, nf, 3, 1, 1), nn.LeakyReLU(SLOPE)]
        channels = nf
        for width, stride in ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)):
            layers += [
                nn.Conv2d(channels, nf * width, 3, stride, 1),
                nn.BatchNorm2d(nf * width),
                nn.LeakyReLU(SLOPE),
            ]
            channels = nf * width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(POOLED)
        self.head = nn.Sequential(
            nn.Linear(channels * POOLED**2, hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """RGB (B, in_nc, H, W) in [0, 1] -> logits (B, 1)."""
        out: Tensor = self.head(self.pool(self.features(image)).flatten(1))
        return out
