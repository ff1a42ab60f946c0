"""A loss of our own against the traces that a GAN leaves where there is nothing to invent.

A discriminator asks for contrast where the picture has texture. Networks answer with ripples and dots beside strong
edges and with a faint grid in plain places too: there HR has no texture, and any that SR has is wrong. The term asks
for HR itself in plain places, and leaves the rest to the other losses.
"""

from __future__ import annotations

from torch import Tensor

from gramgan_cli.core.losses.content import l1
from gramgan_cli.core.texture.masks import sliding_mask

WINDOW = 5
"""Side in pixels of the window in which HR is called plain or not: small, so that plain places reach close to edges."""

DELTA = 0.02
"""Standard deviation of HR's luminance, in [0, 1], from which a pixel has texture: above the noise of photos."""


def plain_l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean over all pixels of |SR - HR| times 1 in HR's plain places, 0 elsewhere.

    The mean is taken over the whole picture, so that a small plain place doesn't count as much as a large one.

    Args:
        sr, hr: (B, 3, H, W) in [0, 1].

    Returns:
        A scalar; gradient goes into ``sr``, in plain places alone.
    """
    plain = 1 - sliding_mask(hr, WINDOW, DELTA)
    return l1(sr * plain, hr * plain)
