"""Running a network on one NumPy tile, with precision, self-ensemble, alpha and error handling."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.errors import GramganError, OutOfMemory

Array = NDArray[Any]
Precision = Literal["fp32", "fp16", "bf16"]

AUTOCAST = {"fp16": torch.float16, "bf16": torch.bfloat16}

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}
"""Value of full intensity for each pixel dtype."""

_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "buffer size",
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
)
"""Texts by which backends other than CUDA report it, in a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception of torch or NumPy means that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _NO_MEMORY)


def workspace_per_pixel(network: nn.Module, descriptor: Descriptor) -> int:
    """Return the bytes of device memory per input pixel while the network runs in fp32.

    The estimate is measured on a small input: twice the largest layer's input and output together, because a skip
    connection or a concatenation holds as much again.
    """
    largest = 0

    def look(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        tensors = [t for t in (*inputs, output) if isinstance(t, Tensor)]
        largest = max(largest, sum(t.numel() * t.element_size() for t in tensors))

    hooks = [module.register_forward_hook(look) for module in network.modules() if not list(module.children())]
    side = 16 * descriptor.multiple_of
    try:
        parameter = next(network.parameters())
        with torch.inference_mode():
            pictures = 3 // descriptor.in_channels  # a grey network processes the three colours as a batch
            out: Tensor = network(torch.zeros(pictures, descriptor.in_channels, side, side, device=parameter.device))
    finally:
        for hook in hooks:
            hook.remove()
    return 2 * max(largest, out.numel() * out.element_size()) // side**2


class TileRunner:
    """A network as a function from a window to its upscaled window, both NumPy arrays of the same dtype.

    Grey windows (one channel) are run as RGB with three equal channels, and the output is averaged. A grey network
    takes them directly and runs each colour channel separately. Alpha (the last of two or four channels) is run
    separately, like a grey image; constant alpha is kept without running the network.

    Args:
        network: maps RGB or grey in [0, 1] to the same; moved to ``device`` in channels-last format.
        descriptor: its scale and size requirements.
        device: where it runs.
        precision: 'fp16' and 'bf16' run under autocast; a tile whose result is not finite is repeated in fp32.
        tta: average over the eight flips and rotations (Timofte et al. 2016, "Seven ways to improve", self-ensemble).
        on_note: called with a message for the user.
    """

    def __init__(
        self,
        network: nn.Module,
        descriptor: Descriptor,
        device: torch.device,
        precision: Precision = "fp32",
        tta: bool = False,
        on_note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.network = network.eval().to(device).to(memory_format=torch.channels_last)
        self.descriptor = descriptor
        self.device = device
        self.precision = precision
        self.tta = tta
        self.on_note = on_note

    def __call__(self, window: Array) -> Array:
        """Upscale a window (h, w, C), uint8, uint16 or float32 in [0, 1], to (scale h, scale w, C); round half up.

        Raises:
            OutOfMemory: the window does not fit into the device's memory.
            GramganError: the result is not finite even in fp32.
        """
        if window.shape[2] not in (1, 3):
            return np.concatenate((self(window[:, :, :-1]), self._alpha(window[:, :, -1:])), axis=2)
        try:
            with torch.inference_mode():
                x = self._to_tensor(window)
                y = self._run_tta(x) if self.tta else self._run(x)
                return self._to_array(y, window.dtype, window.shape[2])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block, because the exception's frames hold the tensors to be freed.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        height, width = window.shape[:2]
        raise OutOfMemory(
            f"Out of memory on {self.device}: a tile of {width}x{height} pixels does not fit.",
            "Close other programs, choose a smaller model, or run on the CPU.",
        )

    def _alpha(self, alpha: Array) -> Array:
        if alpha.min() == alpha.max():
            height, width = (side * self.descriptor.scale for side in alpha.shape[:2])
            return np.full((height, width, 1), alpha[0, 0, 0])
        return self(alpha)

    def _to_tensor(self, window: Array) -> Tensor:
        """Convert (h, w, 1 or 3) to float (1, 3, h, w), or (1 or 3, 1, h, w) for grey, on the device, channels last."""
        # Few backends have kernels for torch.uint16. Always copy, since decoded arrays may be read-only.
        stored = window.astype(np.int32 if window.dtype == np.uint16 else window.dtype)
        x = torch.from_numpy(stored).to(self.device).permute(2, 0, 1)[None]
        x = x.float() / WHITE[window.dtype]
        x = x.permute(1, 0, 2, 3) if self.descriptor.in_channels == 1 else x.expand(1, 3, -1, -1)
        return x.contiguous(memory_format=torch.channels_last)

    def _to_array(self, y: Tensor, dtype: np.dtype[Any], channels: int) -> Array:
        """Convert the output in [0, 1] to (H, W, channels). Integers round half up; floats are not clipped."""
        if self.descriptor.in_channels == 1:
            y = y.permute(1, 0, 2, 3)
        if channels == 1:
            y = y.mean(dim=1, keepdim=True)
        y = y[0].permute(1, 2, 0)
        if dtype == np.float32:
            return y.cpu().numpy()
        white = WHITE[dtype]
        rounded = (y * white + 0.5).clamp_(0, white)
        if dtype == np.uint8:
            return rounded.to(torch.uint8).cpu().numpy()
        return rounded.to(torch.int32).cpu().numpy().astype(dtype)

    def _run_tta(self, x: Tensor) -> Tensor:
        """Return the mean over the eight symmetries of the square, each undone after the network."""
        total: Tensor | None = None
        for turns in range(4):
            for flipped in (False, True):
                seen = torch.rot90(x, turns, (2, 3))
                seen = (seen.flip(3) if flipped else seen).contiguous(memory_format=torch.channels_last)
                out = self._run(seen)
                out = torch.rot90(out.flip(3) if flipped else out, -turns, (2, 3))
                total = out if total is None else total.add_(out)
        assert total is not None
        return total / 8

    def _run(self, x: Tensor) -> Tensor:
        """Run the network in the chosen precision, and again in fp32 if the result is not finite."""
        for precision in dict.fromkeys((self.precision, "fp32")):
            with self._precision(precision):
                y: Tensor = self.network(x).float()
            if bool(torch.isfinite(y).all()):
                return y
            if precision != "fp32":
                self.on_note(
                    f"A tile had values that were not finite in {precision}, so it was computed again in fp32."
                )
        raise GramganError(
            "The model's output has values that are not finite, even in fp32.",
            "Its weights are damaged or do not suit this image.",
        )

    def _precision(self, precision: Precision) -> AbstractContextManager[Any]:
        """Return a context in which the network computes with this precision."""
        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=AUTOCAST[precision])
