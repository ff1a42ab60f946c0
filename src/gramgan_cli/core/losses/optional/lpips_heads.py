"""LPIPS' linear layers (Zhang, Isola, Efros, Shechtman and Wang 2018), to weigh the channels of a VGG16's features."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

TAPS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
"""The VGG16's taps that have a linear layer, after their ReLU."""

_EPSILON = 1e-8
"""Added to squared lengths: a place whose channels are all 0 has no direction, and must have a gradient."""


def lpips_heads() -> dict[str, Tensor]:
    """The authors' weights (v0.1) of VGG16's channels: {tap: (1, C, 1, 1)}, none below 0.

    Raises:
        MissingExtra: the package ``lpips`` is missing.
    """
    from gramgan_cli.core.metrics.lpips import authors_network  # brings torchvision, which most runs don't need

    network = authors_network("vgg")
    return {tap: getattr(network, f"lin{index}").model[-1].weight.detach() for index, tap in enumerate(TAPS)}


def headed_distance(sr: Tensor, hr: Tensor, head: Tensor) -> Tensor:
    """One tap's term of LPIPS: the squared difference of each place's channels scaled to length 1, weighed by channel.

    Args:
        sr, hr: features after the ReLU, (B, C, h, w); gradient goes into ``sr``.
        head: (1, C, 1, 1), not below 0.

    Returns:
        A scalar, the mean over all places.
    """
    sr, hr = (x / (x.square().sum(1, keepdim=True) + _EPSILON).sqrt() for x in (sr, hr))
    return F.conv2d((sr - hr).square(), head).mean()
