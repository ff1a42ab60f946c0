"""Muon: momentum with orthogonalised updates (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

Adam scales each entry of a gradient separately. Muon treats a convolution's weights as a matrix and moves all its
directions by the same amount, including weak ones that Adam leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of a x + b x^3 + c x^5, which drives singular values towards 1 (from the reference implementation)."""

STEPS = 5
"""Number of iterations: singular values above 0.002 of the norm end between 0.68 and 1.21."""

RMS = 0.2
"""RMS of an update divided by the learning rate, matched to Adam's (Liu et al. 2025, arXiv 2502.16982, eq. 4)."""


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return approximately the nearest matrices with orthonormal rows (or columns, if there are fewer).

    Five steps of the Newton-Schulz iteration ``X <- a X + (b A + c A A) X`` with ``A = X X^T``, which brings all
    singular values close to 1.

    Args:
        matrices: (n, rows, columns).

    Returns:
        The same shape and dtype.
    """
    a, b, c = COEFFICIENTS
    x: Tensor = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrices.shape[1] <= matrices.shape[2] else x.mT


class Muon(torch.optim.Optimizer):
    """Muon for convolutions, whose weights (out, in, h, w) are treated as matrices of ``out`` rows.

    A step is ``M <- m M + (1 - m) G``, then ``W <- W - rate 0.2 sqrt(max(rows, columns)) O(m M + (1 - m) G)``, which is
    Nesterov momentum, with O as in :func:`orthogonalised`. Updates are as large as Adam's at the same learning rate.

    Args:
        weights: 4-dimensional parameters.
        rate: learning rate.
        momentum: m, in [0, 1).
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient. Weights of the same shape are processed together."""
        assert closure is None
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for _, alike in groupby(sorted(weights, key=lambda weight: weight.shape), lambda weight: weight.shape):
                self._update(list(alike), group["lr"], group["momentum"])

    def _update(self, weights: list[nn.Parameter], rate: float, momentum: float) -> None:
        """Update weights of one shape."""
        ahead = []
        for weight in weights:
            assert weight.grad is not None
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
            mean = self.state[weight]["momentum"].lerp_(weight.grad, 1 - momentum)
            ahead.append(weight.grad.lerp(mean, momentum).flatten(1))
        updates = orthogonalised(torch.stack(ahead))
        size = RMS * max(updates.shape[1:]) ** 0.5
        for weight, update in zip(weights, updates.unbind(), strict=True):
            weight.sub_(update.view(weight.shape), alpha=rate * size)
