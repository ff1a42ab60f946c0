"""The processes of one training run, seen from one of them. One process alone is the simplest group."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Group:
    """A single process: means are local, everybody agrees."""

    rank = 0
    processes = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and reports to the user."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Mean of ``values`` over all processes' elements, with gradient."""
        return values.mean()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make every process's gradients the mean over the processes."""

    def average(self, values: Tensor) -> Tensor:
        """Mean of equal-shaped ``values`` over the processes, without gradient."""
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process says yes; all processes get the same answer."""
        return flag

    def barrier(self) -> None:
        """Wait until every process is here."""


class TorchGroup(Group):
    """The processes that torch.distributed was initialised with."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.processes = dist.get_world_size()
        # Flags travel on the CPU, so that asking never waits for the device.
        control = dist.new_group(backend="gloo")
        assert isinstance(control, dist.ProcessGroup)
        self._control = control

    def mean(self, values: Tensor) -> Tensor:
        """See Group. The local mean's gradient is 1/n per element; summed over equal shares that is the global mean."""
        return _GlobalMean.apply(values.mean(), self.processes)  # type: ignore[no-any-return]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """One all-reduce over all gradients laid end to end."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self.processes
        offset = 0
        for gradient in gradients:
            gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
            offset += gradient.numel()

    def average(self, values: Tensor) -> Tensor:
        """See Group."""
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.processes

    def any(self, flag: bool) -> bool:
        """See Group."""
        votes = torch.tensor(float(flag))
        dist.all_reduce(votes, group=self._control)
        return bool(votes.item())

    def barrier(self) -> None:
        """See Group."""
        dist.barrier(group=self._control)


class _GlobalMean(torch.autograd.Function):
    """Mean of a scalar over the processes. Its gradient is the mean of all processes' gradients: each process's loss
    is averaged over the processes afterwards, and each of these losses depends on every process's value."""

    @staticmethod
    def forward(ctx: object, value: Tensor, processes: int) -> Tensor:
        """Scalar in, mean over processes out."""
        del ctx
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / processes

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        """d(sum over processes of loss)/d(value) = sum of incoming gradients / processes."""
        del ctx
        total = gradients[0].detach().clone()
        dist.all_reduce(total)
        return total / dist.get_world_size(), None
