"""LPIPS's linear layers, as channel weights for VGG16 features (Zhang, Isola, Efros, Shechtman and Wang 2018)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

TAPS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
"""VGG16 layers that have a linear layer, tapped after their ReLU."""

_EPSILON = 1e-8
"""Added to squared lengths, so that positions whose channels are all 0 have a defined gradient."""


def lpips_heads() -> dict[str, Tensor]:
    """Return the authors' non-negative channel weights (v0.1) for VGG16: {tap: (1, C, 1, 1)}.

    Raises:
        MissingExtra: the package ``lpips`` is missing.
    """
    from gramgan_cli.core.metrics.lpips import authors_network  # imports torchvision, which most runs do not need

    network = authors_network("vgg")
    return {tap: getattr(network, f"lin{index}").model[-1].weight.detach() for index, tap in enumerate(TAPS)}


def headed_distance(sr: Tensor, hr: Tensor, head: Tensor) -> Tensor:
    """Return one tap's LPIPS term: squared difference of the unit-length channel vectors, weighted by channel.

    Args:
        sr, hr: features after the ReLU, (B, C, h, w); only ``sr`` should require a gradient.
        head: (1, C, 1, 1), not negative.

    Returns:
        A scalar, the mean over all positions.
    """
    sr, hr = (x / (x.square().sum(1, keepdim=True) + _EPSILON).sqrt() for x in (sr, hr))
    return F.conv2d((sr - hr).square(), head).mean()
