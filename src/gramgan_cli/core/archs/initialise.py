"""Initialisation helpers shared by several networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class Uninitialised(TorchFunctionMode):
    """Context in which networks are built without drawing random numbers, for networks filled from a file.

    Drawing the numbers of a large network takes longer than reading them. The meta device would avoid that, but makes
    torch import its compiler, which takes seconds. Tensors that would be drawn directly are filled with one value of
    the distribution instead: ``torch.nn.init.trunc_normal_`` redraws until all numbers are within bounds, and might
    never return on uninitialised memory.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Skip ``torch.nn.init`` functions, and fill directly drawn tensors with one value."""
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
    """Initialise a sub-pixel convolution so that its output starts as nearest-neighbour upsampling (ICNR).

    The ``factor**2`` kernels that PixelShuffle interleaves start equal (Aitken et al. 2017, "Checkerboard artifact free
    sub-pixel convolution"). ``weight`` (out, in, kh, kw) or (out,) must already be initialised.
    """
    group = factor**2
    weight.copy_(weight[::group].repeat_interleave(group, dim=0))


@torch.no_grad()
def scaled_kaiming_(conv: nn.Conv2d, scale: float) -> None:
    """Initialise with Kaiming-normal weights (fan-in) times ``scale`` and zero bias, as in ESRGAN's dense blocks."""
    nn.init.kaiming_normal_(conv.weight, a=0, mode="fan_in")
    conv.weight.mul_(scale)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
