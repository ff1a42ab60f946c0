"""Running sums of the loss terms between two rows of metrics."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gramgan_cli.engines.train.parallel.group import Group


class LossLog:
    """Running sums of the loss terms, kept on the device so that only ``take`` synchronises with the host."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._names: tuple[str, ...] = ()
        self._reset()

    def _reset(self) -> None:
        self._sum = torch.zeros(len(self._names), device=self.device)
        self._bad = torch.full((len(self._names),), -1, device=self.device, dtype=torch.int64)
        self._count = 0

    def add(self, terms: Mapping[str, Tensor], step: int) -> None:
        """Add a step's terms, and record the first step at which each was not finite."""
        if not self._names:
            self._names = tuple(terms)
            self._reset()
        values = torch.stack([terms[name].float() for name in self._names])
        self._sum += values
        self._bad = torch.where((self._bad < 0) & ~torch.isfinite(values), step, self._bad)
        self._count += 1

    def take(self, group: Group) -> tuple[dict[str, float], tuple[str, int] | None]:
        """Mean of each term since the last call, and (term, step) of the first non-finite value or None."""
        if not self._count:
            return {}, None
        means = (group.average(self._sum) / self._count).tolist()
        bad = self._bad.tolist()
        self._reset()
        broken = [(step, name) for name, step in zip(self._names, bad, strict=True) if step >= 0]
        first = min(broken, default=None)
        return dict(zip(self._names, means, strict=True)), (first[1], first[0]) if first else None
