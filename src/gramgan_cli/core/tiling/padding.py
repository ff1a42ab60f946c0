"""Padding pictures to the sizes that a network takes: reflected at the right and bottom edge, cropped afterwards.

BasicSR, SwinIR and spandrel pad the same way, so results equal theirs near the border.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def reflected(index: NDArray[Any], length: int) -> NDArray[Any]:
    """Positions on an axis of ``length`` pixels for positions that may lie beyond its end.

    The pixel ``length + k`` is the pixel ``length - 2 - k`` (the last one is not repeated). Where the axis is too
    short for that, the first pixel is repeated.

    Args:
        index: positions, 0 or greater.
        length: pixels on the axis, 1 or more.

    Returns:
        Positions in [0, length).
    """
    positions: NDArray[Any] = np.minimum(index, np.maximum(2 * (length - 1) - index, 0))
    return positions


def pad_to_multiple(x: Tensor, multiple_of: int) -> Tensor:
    """``x`` (..., h, w) with both sides brought up to the next multiple; ``x`` itself where they divide already.

    Gradients pass through.
    """
    for axis in (-2, -1):
        length = x.shape[axis]
        padded = -(-length // multiple_of) * multiple_of
        if padded != length:
            index = torch.from_numpy(reflected(np.arange(padded), length)).to(x.device)
            x = x.index_select(axis, index)
    return x


def run_padded(network: Callable[[Tensor], Tensor], x: Tensor, multiple_of: int, scale: int) -> Tensor:
    """The network's output for ``x`` of any size.

    Args:
        network: (B, C, h, w) -> (B, C, scale h, scale w), for sides that are multiples of ``multiple_of``.
        x: (B, C, h, w).
        multiple_of: what the network's descriptor says.
        scale: output side over input side.

    Returns:
        (B, C, scale h, scale w): what the padding became is cropped away.
    """
    height, width = x.shape[-2] * scale, x.shape[-1] * scale
    return network(pad_to_multiple(x, multiple_of))[..., :height, :width]
