"""The discriminator of ESRGAN (Wang et al. 2018) for 128 x 128 crops."""

from __future__ import annotations

from torch import Tensor, nn

from gramgan_cli.core.errors import GramganError

SLOPE = 0.2
SIDE = 128
"""The only valid input side: the linear layer needs the 4 x 4 map that is left after five halvings."""


class ESRGANDiscriminator(nn.Module):
    """RGB in [0, 1], (B, in_nc, 128, 128) -> logits (B, 1), unbounded.

    A 3x3 convolution to 64 channels (with bias, no BN) and a 4x4 of stride 2 with BN. Then for 128, 256, 512 and 512
    channels a 3x3 and a 4x4 of stride 2, all with BN and without bias. LeakyReLU 0.2 after each. Linear 512 x 4 x 4 ->
    100, LeakyReLU, Linear 1. 14 499 401 parameters by default.

    Args:
        in_nc: input channels.
        nf: channels of the first convolution; the others have 1, 2, 4, 8 and 8 times as many.
    """

    def __init__(self, in_nc: int = 3, nf: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_nc, nf, 3, 1, 1), nn.LeakyReLU(SLOPE), *_halving(nf)]
        channels = nf
        for width in (2, 4, 8, 8):
            layers += [
                nn.Conv2d(channels, nf * width, 3, 1, 1, bias=False),
                nn.BatchNorm2d(nf * width),
                nn.LeakyReLU(SLOPE),
                *_halving(nf * width),
            ]
            channels = nf * width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(channels * (SIDE // 32) ** 2, 100), nn.LeakyReLU(SLOPE), nn.Linear(100, 1))

    def forward(self, image: Tensor) -> Tensor:
        """RGB (B, in_nc, 128, 128) in [0, 1] -> logits (B, 1); another size raises GramganError."""
        height, width = image.shape[-2:]
        if (height, width) != (SIDE, SIDE):
            raise GramganError(
                f"ESRGAN's discriminator takes {SIDE} x {SIDE} crops, not {height} x {width}.",
                f"Train with HR crops of {SIDE}, or use SRGAN's discriminator, which takes any size.",
            )
        out: Tensor = self.head(self.features(image).flatten(1))
        return out


def _halving(channels: int) -> list[nn.Module]:
    """4x4 convolution of stride 2, BN, LeakyReLU: (B, channels, H, W) -> (B, channels, H/2, W/2)."""
    return [nn.Conv2d(channels, channels, 4, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE)]
