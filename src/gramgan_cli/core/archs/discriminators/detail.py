"""A discriminator of our own that compares the details which SR and HR add to the same LR."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2

DETAIL_GAIN, LR_GAIN = 6.0, 3.0
"""Factors on the details and on LR - 1/2. On photos both then have a standard deviation of order 1 (0.4 and 0.8)."""

INITIAL = 0.01
"""Standard deviation of the last convolution's initial weights: the first logits are small."""


class DetailDiscriminator(nn.Module):
    """One logit per LR pixel, from the details of the image there and from LR around it.

    The details are the image minus bicubic LR. Pixel unshuffling moves them to LR size, so that each sub-pixel has its
    own channels. All convolutions work at LR size, which is cheap, and none has a stride, whose gradient would draw a
    grid. They are 3x3 with LeakyReLU 0.2 between them and neither batch norm nor spectral norm, so that it learns
    within some tens of steps.

    Args:
        scale: sub-pixels along each axis.
        nf: channels.
        depth: number of convolutions. A logit sees ``depth`` LR pixels in each direction.
    """

    def __init__(self, scale: int, nf: int = 64, depth: int = 8) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        channels = 3 * (scale**2 + 1)
        for _ in range(depth - 1):
            conv = nn.Conv2d(channels, nf, 3, 1, 1)
            nn.init.kaiming_normal_(conv.weight, SLOPE)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            layers += [conv, nn.LeakyReLU(SLOPE)]
            channels = nf
        self.features = nn.Sequential(*layers)
        self.last = nn.Conv2d(nf, 1, 3, 1, 1)
        nn.init.normal_(self.last.weight, std=INITIAL)

    def forward(self, image: Tensor, lr: Tensor) -> Tensor:
        """RGB (B, 3, scale h, scale w) and its LR (B, 3, h, w), both in [0, 1] -> logits (B, 1, h, w)."""
        detail = image - F.interpolate(lr, scale_factor=self.scale, mode="bicubic", align_corners=False)
        seen = torch.cat((F.pixel_unshuffle(DETAIL_GAIN * detail, self.scale), LR_GAIN * (lr - 0.5)), dim=1)
        logits: Tensor = self.last(self.features(seen))
        return logits
