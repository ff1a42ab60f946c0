"""Exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Update ``average`` to d average + (1 - d) network, in place; buffers such as batch-norm statistics are copied.

    d = min(decay, (step + 1) / (step + 10)): early on the average follows the network closely, so that it forgets the
    initialisation (the ramp of TensorFlow's ExponentialMovingAverage). ``step`` counts from 0.
    """
    weight = 1 - min(decay, (step + 1) / (step + 10))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), weight)
    for mean, value in zip(average.buffers(), network.buffers(), strict=True):
        mean.copy_(value)
