"""A loss of our own against the pattern that sub-pixel networks learn from a discriminator, or from features.

A network that ends in PixelShuffle(s) makes each of the s x s sub-pixels of an LR pixel (the phases) by weights of
its own. Asked for more contrast, the cheapest answer is a fixed pattern of s pixels, brighter in some phases than in
others, wherever there is texture; or, where that is noticed, dots of changing sign, with more contrast in some phases
than in others. Real texture is not tied to the grid: over a few LR pixels all phases have the same mean and contrast.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

WINDOW = 8
"""LR pixels, each way, over which a phase's mean is taken: few enough to follow texture, enough to average it out."""


def phase_pattern(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """The pattern of SR - HR, plus that of the difference of their contrasts. See :func:`pattern`.

    HR is subtracted because an edge that happens to lie along the grid has such a pattern by right.

    Args:
        sr, hr: (B, C, H, W) in [0, 1], sides multiples of ``scale``.
        scale: phases along each axis.

    Returns:
        A scalar; gradient goes into ``sr``. Zero for any difference of SR and HR that is the same in all phases.
    """
    return pattern(sr - hr, scale) + pattern(contrast(sr, scale) - contrast(hr, scale), scale)


def pattern(difference: Tensor, scale: int) -> Tensor:
    """Mean absolute pattern of the phases: windows' means in each phase, less their mean over the phases."""
    phases = F.pixel_unshuffle(difference, scale)
    window = min(WINDOW, *phases.shape[2:])
    means = F.avg_pool2d(phases, window, max(1, window // 2))
    means = means.view(len(difference), difference.shape[1], scale * scale, *means.shape[2:])
    found: Tensor = means - means.mean(dim=2, keepdim=True)
    return found.abs().mean()


def contrast(image: Tensor, scale: int) -> Tensor:
    """How far each pixel lies from the mean of the ``2 scale + 1`` pixels around it, each way centred."""
    mean = F.avg_pool2d(image, 2 * scale + 1, 1, scale, count_include_pad=False)
    return (image - mean).abs()
