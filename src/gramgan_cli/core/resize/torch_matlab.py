"""MATLAB-compatible bicubic ``imresize`` on tensors: differentiable, on any device, in the tensor's own precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramgan_cli.core.resize.matlab import Border, contributions


def _resize_axis(image: Tensor, axis: int, out_length: int, scale: float, border: Border) -> Tensor:
    """Resize along one axis as a weighted sum of shifted views, as in ``core.resize.matlab``.

    Not a matrix product, because autocast and TF32 would lower its precision.
    """
    index, weight = contributions(image.shape[axis], out_length, scale, border)
    indices = torch.from_numpy(index).to(image.device)
    weights = torch.from_numpy(weight).to(image)
    shape = [1] * image.dim()
    shape[axis] = out_length
    out = torch.zeros_like(image.index_select(axis, indices[:, 0]))
    for tap in range(index.shape[1]):
        out = out + image.index_select(axis, indices[:, tap]) * weights[:, tap].view(shape)
    return out


def imresize(
    image: Tensor, scale: float, *, size: tuple[int, int] | None = None, border: Border = "symmetric"
) -> Tensor:
    """Resize (..., H, W) by ``scale`` as ``core.resize.matlab.imresize`` does for floats: antialiased, not rounded.

    Args:
        image: floating point, any range; the last two axes are resized.
        scale: output size over input size, e.g. 0.25.
        size: (height, width) of the result; default ``ceil(length * scale)``.
        border: extrapolation beyond the edges, as in ``core.resize.matlab``.

    Returns:
        (..., height, width) of the same dtype, on the same device. Differentiable in ``image``.
    """
    height, width = size or (math.ceil(image.shape[-2] * scale), math.ceil(image.shape[-1] * scale))
    out = _resize_axis(image, image.dim() - 2, height, scale, border)
    return _resize_axis(out, image.dim() - 1, width, scale, border)
