"""The discriminator (critic) of TTSR (Yang et al., CVPR 2020, supplement)."""

from __future__ import annotations

from torch import Tensor, nn

from gramgan_cli.core.errors import GramganError

SLOPE = 0.2
REDUCTION = 32


class TTSRDiscriminator(nn.Module):
    """RGB in [0, 1], (B, in_nc, size, size) -> critic values (B, 1), unbounded.

    Ten 3x3 convolutions with LeakyReLU 0.2, (channels, stride) 32/1, 32/2, 64/1, 64/2, 128/1, 128/2, 256/1, 256/2,
    512/1, 512/2; Linear (size/32)^2 x 512 -> 1024, LeakyReLU, Linear 1. There is no normalisation, because WGAN-GP's
    penalty is per image and BN would mix images. The input is scaled to [-1, 1]. 17 821 473 parameters by default.

    Args:
        in_nc: input channels.
        nf: channels of the first convolution; the others have 1, 2, 4, 8 and 16 times as many.
        size: side of the HR crops, a multiple of 32.
    """

    def __init__(self, in_nc: int = 3, nf: int = 32, size: int = 160) -> None:
        super().__init__()
        if size % REDUCTION or size <= 0:
            raise ValueError(f"TTSR's discriminator needs a size that is a multiple of {REDUCTION}, not {size}")
        self.size = size
        layers: list[nn.Module] = []
        channels = in_nc
        for width in (nf, 2 * nf, 4 * nf, 8 * nf, 16 * nf):
            for stride in (1, 2):
                layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.LeakyReLU(SLOPE)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(channels * (size // REDUCTION) ** 2, 1024),
            nn.LeakyReLU(SLOPE),
            nn.Linear(1024, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """RGB (B, in_nc, size, size) in [0, 1] -> critic values (B, 1); another size raises GramganError."""
        height, width = image.shape[-2:]
        if (height, width) != (self.size, self.size):
            raise GramganError(
                f"TTSR's discriminator was built for {self.size} x {self.size} crops, not {height} x {width}.",
                "Set its size to that of the HR crops.",
            )
        out: Tensor = self.head(self.features(2 * image - 1).flatten(1))
        return out
