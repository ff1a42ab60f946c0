"""``gramgan_cli.load``: a model that stays in memory and enlarges arrays, PIL pictures and tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.api.callbacks import ignore
from gramgan_cli.api.upscale.options import ModelArguments, UpscaleArguments, upscale_options
from gramgan_cli.api.upscale.pictures import Picture, enlarged, prepared
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.session import Session, open_session

Array = NDArray[Any]


def load(
    model: str | None = None,
    *,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[ModelArguments],
) -> Upscaler:
    """Load a model once, to enlarge many pictures with it.

    Args:
        model: a name in the store, a weights file, a mixture (``a+b@0.5``) or an interpolation (``lanczos``). None is
            what ``gramgan upscale`` uses where no model is named.
        on_note: called with a sentence that the user should know, such as that tiles became smaller for lack of memory.
        **arguments: ``ModelArguments``.

    Raises:
        ModelNotFound: no model has that name.
        GramganError: its file can't be used, or its backend is not installed.
        UsageError: arguments that contradict each other, or a device that is not there.

    Example:
        >>> import numpy as np
        >>> import gramgan_cli as gg
        >>> up = gg.load("lanczos")
        >>> up(np.zeros((10, 20, 3), np.uint8)).shape
        (40, 80, 3)
    """
    given: UpscaleArguments = {**arguments}  # type: ignore[typeddict-item]
    if model is not None:
        given["model"] = model
    options = upscale_options(given)
    session = open_session(options, on_note)
    session.source.on_note = on_note
    return Upscaler(session, options)


class Upscaler:
    """A loaded model. Call it with a picture; it is not to be called from two threads at once.

    Attributes:
        name: the model's name.
        scale: output side over input side.
        device: where it runs, such as ``cpu`` or ``cuda:0``.
        backend: what runs it; empty for interpolations.
    """

    def __init__(self, session: Session, options: UpscaleOptions) -> None:
        self.session = session
        self.options = options
        self.name = session.name
        self.scale = session.source.scale
        self.device = session.device
        self.backend = session.backend

    def __call__(self, picture: Picture, *, on_progress: Callable[[float], None] = ignore) -> Picture:
        """Enlarge one picture (or a batch of tensors) by ``scale``.

        Args:
            picture: numpy (H, W) or (H, W, C); PIL of any mode of grey or RGB; torch (C, H, W) or (B, C, H, W).
                Integers use their full range, floating point [0, 1]. C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB,
                alpha).
            on_progress: called with the share that is done, 0 to 1, of each picture. An exception that it raises
                stops the work and reaches the caller.

        Returns:
            The same kind of picture, of the same type and on the same device.

        Raises:
            UsageError: a shape, type or PIL mode that is no picture of these.
            OutOfMemory: not even a small tile fits into the device's memory.
        """
        return enlarged(picture, lambda array: self._enlarge(array, on_progress))

    def bands(self, array: Array) -> Iterator[Array]:
        """Enlarge a picture whose result need not fit into memory: finished rows, from top to bottom.

        Args:
            array: (H, W) or (H, W, C) uint8, uint16 or floating point in [0, 1]; also a ``numpy.memmap``.

        Yields:
            (rows, scale W, C), of the type that is computed in: uint8, uint16 or float32. Close the iterator to stop.
        """
        return self.session.source.bands(prepared(array))

    def _enlarge(self, array: Array, on_progress: Callable[[float], None]) -> Array:
        """(H, W, C) -> (scale H, scale W, C)."""
        height, width, channels = array.shape
        result = np.empty((height * self.scale, width * self.scale, channels), array.dtype)
        done = 0
        for band in self.session.source.bands(array):
            result[done : done + len(band)] = band
            done += len(band)
            on_progress(done / len(result))
        return result
