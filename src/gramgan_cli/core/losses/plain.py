"""A loss of our own against GAN artifacts in areas without texture.

A discriminator asks for contrast where the image has texture. Networks then also add ripples and dots beside strong
edges, and a faint grid in plain areas. HR has no texture there, so any texture in SR is wrong. This term compares SR
with HR in plain areas and leaves the rest to the other losses.
"""

from __future__ import annotations

from torch import Tensor

from gramgan_cli.core.losses.content import l1
from gramgan_cli.core.texture.masks import sliding_mask

WINDOW = 5
"""Side in pixels of the window that decides whether HR is plain: small, so that plain areas reach close to edges."""

DELTA = 0.02
"""Standard deviation of HR luminance, on the [0, 1] scale, from which a pixel is textured: above the noise of
photos."""


def plain_l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean over all pixels of |SR - HR|, with pixels outside HR's plain areas counted as 0.

    The mean covers the whole image, so a small plain area has less weight than a large one.

    Args:
        sr, hr: (B, 3, H, W) in [0, 1].

    Returns:
        A scalar. ``sr`` receives a gradient in plain areas only.
    """
    plain = 1 - sliding_mask(hr, WINDOW, DELTA)
    return l1(sr * plain, hr * plain)
