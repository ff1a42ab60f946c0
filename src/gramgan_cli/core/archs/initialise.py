"""Initialisations that more than one network uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class Uninitialised(TorchFunctionMode):
    """While entered, networks are built without drawing random numbers: for those that are filled from a file.

    Drawing the numbers of a large network costs more time than reading them; on the meta device torch imports its
    compiler for it, which takes seconds. A tensor that would be drawn gets one value of the distribution instead:
    ``torch.nn.init.trunc_normal_`` draws until all numbers lie within its bounds, and would never end over whatever
    lies in memory.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Leave tensors as they are where torch initialises them; fill those that are drawn with one value."""
        del types
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in (Tensor.normal_, Tensor.uniform_):
            tensor = args[0]
            first = args[1] if len(args) > 1 else kwargs.get("mean", kwargs.get("from", 0.0))
            return tensor if tensor.is_meta else tensor.fill_(first)
        return func(*args, **kwargs)


@torch.no_grad()
def icnr_(weight: Tensor, factor: int) -> None:
    """Initialise a sub-pixel convolution so that its output starts as a nearest-neighbour enlargement.

    The ``factor**2`` kernels that PixelShuffle lays side by side start equal (Aitken et al. 2017, "Checkerboard
    artifact free sub-pixel convolution"). Works on any values already in ``weight`` (out, in, kh, kw) or (out,).
    """
    group = factor**2
    weight.copy_(weight[::group].repeat_interleave(group, dim=0))


@torch.no_grad()
def scaled_kaiming_(conv: nn.Conv2d, scale: float) -> None:
    """Kaiming-normal weights (fan-in) times ``scale``, zero bias, as ESRGAN starts its dense blocks."""
    nn.init.kaiming_normal_(conv.weight, a=0, mode="fan_in")
    conv.weight.mul_(scale)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
