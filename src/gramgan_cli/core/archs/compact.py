"""Compact: Real-ESRGAN's SRVGGNetCompact, a fast network that runs all convolutions at LR size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.archs.descriptor import Descriptor, check_equal_channels


class Compact(nn.Module):
    """3x3 convolutions with PReLU and a sub-pixel convolution, added to the nearest-neighbour upsampled input.

    RGB in [0, 1], (B, in_nc, h, w) -> (B, out_nc, scale h, scale w), not clamped. All modules are in one list,
    ``body``, named as in the published checkpoints, so other tools can load them.

    Args:
        in_nc, out_nc: channels of input and output; must be equal.
        nf: feature channels.
        nc: number of convolutions between the first and the last.
        scale: PixelShuffle factor.
    """

    def __init__(self, in_nc: int = 3, out_nc: int = 3, nf: int = 64, nc: int = 16, scale: int = 4) -> None:
        super().__init__()
        check_equal_channels("Compact", in_nc, out_nc)
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(in_nc, nf, 3, 1, 1), nn.PReLU(nf)]
        for _ in range(nc):
            layers += [nn.Conv2d(nf, nf, 3, 1, 1), nn.PReLU(nf)]
        layers.append(nn.Conv2d(nf, out_nc * scale**2, 3, 1, 1))
        self.body = nn.ModuleList(layers)
        self._start_near_identity()

    @torch.no_grad()
    def _start_near_identity(self) -> None:
        """Initialise middle convolutions to identity plus a tenth of Kaiming, and the last one with small weights.

        The stack has no skip connections. Initialised as identity, it trains like a network that has them (measured in
        docs/models.md).
        """
        middle = [layer for layer in self.body[2:-1] if isinstance(layer, nn.Conv2d)]
        for conv in middle:
            assert conv.bias is not None
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.mul_(0.1)
            conv.weight[:, :, 1, 1].diagonal().add_(1)
            nn.init.zeros_(conv.bias)
        last = self.body[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, h, w) in [0, 1] -> RGB (B, out_nc, scale h, scale w), not clamped."""
        features = x
        for layer in self.body:
            features = layer(features)
        return F.pixel_shuffle(features, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def describe_compact(in_nc: int = 3, out_nc: int = 3, nf: int = 64, nc: int = 16, scale: int = 4) -> Descriptor:
    """Return the descriptor; nc + 2 convolutions of radius 1 at LR size."""
    del nf
    return Descriptor(
        arch="compact",
        scale=scale,
        in_channels=in_nc,
        out_channels=out_nc,
        multiple_of=1,
        receptive_radius=nc + 2,
        dtypes=("fp32", "bf16", "fp16"),
    )
