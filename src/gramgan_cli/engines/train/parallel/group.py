"""Collective operations over the processes of a training run."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Group:
    """A group of one process: all operations are local."""

    rank = 0
    processes = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and reports to the user."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the elements of all processes' ``values``, with gradient."""
        return values.mean()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes, in place."""

    def average(self, values: Tensor) -> Tensor:
        """Mean of equal-shaped ``values`` over the processes, without gradient."""
        return values

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is True in any process; the same result in all of them."""
        return flag

    def barrier(self) -> None:
        """Wait until every process has reached this call."""


class TorchGroup(Group):
    """The processes that torch.distributed was initialised with."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.processes = dist.get_world_size()
        # Flags go over gloo on the CPU, so that exchanging them does not synchronise with the device.
        control = dist.new_group(backend="gloo")
        assert isinstance(control, dist.ProcessGroup)
        self._control = control

    def mean(self, values: Tensor) -> Tensor:
        """See Group. The mean of local means is the global mean, since all processes have equally many elements."""
        return _GlobalMean.apply(values.mean(), self.processes)  # type: ignore[no-any-return]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """See Group. One all-reduce over the concatenated gradients."""
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
    """Mean of a scalar over the processes. Its gradient is the mean of all processes' gradients: losses are averaged
    over the processes afterwards, and each process's loss depends on every process's value."""

    @staticmethod
    def forward(ctx: object, value: Tensor, processes: int) -> Tensor:
        """Mean of a scalar over the processes."""
        del ctx
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / processes

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        """d(sum of all processes' losses)/d(value) = sum of incoming gradients / number of processes."""
        del ctx
        total = gradients[0].detach().clone()
        dist.all_reduce(total)
        return total / dist.get_world_size(), None
