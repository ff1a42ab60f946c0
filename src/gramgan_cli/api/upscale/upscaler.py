"""``gramgan_cli.load``: a model that stays loaded and upscales arrays, PIL pictures and tensors."""

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
    """Load a model once, to upscale many pictures.

    Args:
        model: name in the store, weights file, mixture (``a+b@0.5``) or interpolation (``lanczos``); the default model
            of ``gramgan upscale`` by default.
        on_note: called with messages for the user, e.g. when tiles become smaller for lack of memory.
        **arguments: ``ModelArguments``.

    Raises:
        ModelNotFound: there is no such model.
        GramganError: its file can't be used, or the backend is not installed.
        UsageError: arguments contradict each other, or the device does not exist.

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
    """A loaded model, called with a picture. It must not be called from two threads at once.

    Attributes:
        name: name of the model.
        scale: ratio of output to input side.
        device: device, such as ``cpu`` or ``cuda:0``.
        backend: library that runs the network; empty for interpolations.
    """

    def __init__(self, session: Session, options: UpscaleOptions) -> None:
        self.session = session
        self.options = options
        self.name = session.name
        self.scale = session.source.scale
        self.device = session.device
        self.backend = session.backend

    def __call__(self, picture: Picture, *, on_progress: Callable[[float], None] = ignore) -> Picture:
        """Upscale one picture, or a batch of tensors, by ``scale``.

        Args:
            picture: numpy (H, W) or (H, W, C); PIL of any mode of grey or RGB; torch (C, H, W) or (B, C, H, W).
                Integers use their full range, floating point [0, 1]. C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB,
                alpha).
            on_progress: called with the fraction done of each picture, 0 to 1. An exception that it raises stops the
                run and reaches the caller.

        Returns:
            A picture of the same type and dtype, on the same device.

        Raises:
            UsageError: the shape, dtype or PIL mode is not supported.
            OutOfMemory: not even a small tile fits into the device's memory.
        """
        return enlarged(picture, lambda array: self._enlarge(array, on_progress))

    def bands(self, array: Array) -> Iterator[Array]:
        """Upscale a picture in bands of rows, from top to bottom, so that the result need not fit into memory.

        Args:
            array: (H, W) or (H, W, C) uint8, uint16 or floating point in [0, 1]; also a ``numpy.memmap``.

        Yields:
            (rows, scale W, C) in the type of computation: uint8, uint16 or float32. Close the iterator to stop.
        """
        return self.session.source.bands(prepared(array))

    def _enlarge(self, array: Array, on_progress: Callable[[float], None]) -> Array:
        """Upscale (H, W, C) to (scale H, scale W, C)."""
        height, width, channels = array.shape
        result = np.empty((height * self.scale, width * self.scale, channels), array.dtype)
        done = 0
        for band in self.session.source.bands(array):
            result[done : done + len(band)] = band
            done += len(band)
            on_progress(done / len(result))
        return result
