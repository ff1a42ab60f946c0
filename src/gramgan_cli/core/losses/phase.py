"""A loss of our own against the grid pattern of networks that upsample with PixelShuffle.

PixelShuffle computes each of the s x s sub-pixels (phases) of an LR pixel with its own weights. When a discriminator or
a feature loss asks for more contrast, the network can respond with a fixed pattern of period s, brighter in some phases
than in others, or, if that is penalised, with dots of varying sign and more contrast in some phases than in others.
Real texture is not tied to the grid: over a few LR pixels all phases have the same mean and contrast.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

WINDOW = 8
"""Side in LR pixels of the window over which a phase is averaged: small enough to be local, large enough to average
out texture."""


def phase_pattern(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Return the phase pattern of SR - HR plus that of the difference of their contrasts. See :func:`pattern`.

    HR is subtracted because an edge along the grid has such a pattern legitimately.

    Args:
        sr, hr: (B, C, H, W) in [0, 1]; sides are multiples of ``scale``.
        scale: number of phases along each axis.

    Returns:
        A scalar, differentiable in ``sr``. It is 0 for any difference of SR and HR that is the same in all phases.
    """
    return pattern(sr - hr, scale) + pattern(contrast(sr, scale) - contrast(hr, scale), scale)


def pattern(difference: Tensor, scale: int) -> Tensor:
    """Return the mean absolute deviation of each phase's windowed means from their mean over all phases."""
    phases = F.pixel_unshuffle(difference, scale)
    window = min(WINDOW, *phases.shape[2:])
    means = F.avg_pool2d(phases, window, max(1, window // 2))
    means = means.view(len(difference), difference.shape[1], scale * scale, *means.shape[2:])
    found: Tensor = means - means.mean(dim=2, keepdim=True)
    return found.abs().mean()


def contrast(image: Tensor, scale: int) -> Tensor:
    """Return |x - local mean|, the mean taken over the centred window of side ``2 scale + 1``."""
    mean = F.avg_pool2d(image, 2 * scale + 1, 1, scale, count_include_pad=False)
    return (image - mean).abs()
