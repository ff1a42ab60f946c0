"""Padding images to the sizes that a network accepts: reflected at the right and bottom edges, cropped afterwards.

BasicSR, SwinIR and spandrel pad the same way, so results near the border equal theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def reflected(index: NDArray[Any], length: int) -> NDArray[Any]:
    """Map positions that may lie beyond the end of an axis to reflected positions inside it.

    Pixel ``length + k`` maps to pixel ``length - 2 - k``, so the last pixel is not repeated. If the axis is too short
    for that, the first pixel is repeated.

    Args:
        index: positions, 0 or greater.
        length: pixels on the axis, 1 or more.

    Returns:
        Positions in [0, length).
    """
    positions: NDArray[Any] = np.minimum(index, np.maximum(2 * (length - 1) - index, 0))
    return positions


def pad_to_multiple(x: Tensor, multiple_of: int) -> Tensor:
    """Pad both sides of ``x`` (..., h, w) to the next multiple; return ``x`` itself if they are multiples already.

    Differentiable.
    """
    for axis in (-2, -1):
        length = x.shape[axis]
        padded = -(-length // multiple_of) * multiple_of
        if padded != length:
            index = torch.from_numpy(reflected(np.arange(padded), length)).to(x.device)
            x = x.index_select(axis, index)
    return x


def run_padded(network: Callable[[Tensor], Tensor], x: Tensor, multiple_of: int, scale: int) -> Tensor:
    """Run the network on ``x`` of any size.

    Args:
        network: (B, C, h, w) -> (B, C, scale h, scale w), for sides that are multiples of ``multiple_of``.
        x: (B, C, h, w).
        multiple_of: the descriptor's size requirement.
        scale: output side over input side.

    Returns:
        (B, C, scale h, scale w), with the padding cropped.
    """
    height, width = x.shape[-2] * scale, x.shape[-1] * scale
    return network(pad_to_multiple(x, multiple_of))[..., :height, :width]
