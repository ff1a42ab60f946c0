"""The one module of the page that upscales, by the Python API: previews of crops, and whole photos into files.

torch takes seconds to load, so it is imported where it is used: the page is there before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights.catalogue import read_square

if TYPE_CHECKING:
    from gramgan_cli import Result, Upscaler
    from gramgan_cli.api.upscale.options import UpscaleArguments

Array = NDArray[Any]

PREVIEW_SIDE = 192
"""Input pixels of a preview's side: enlarged in well under a second on two cores, with the embedded models."""

AROUND = 32
"""Input pixels around it that are computed with it: more than the embedded models see."""


class Cancelled(Exception):
    """The user cancelled a run."""


@dataclass(frozen=True)
class Knobs:
    """The two settings that decide how a result looks, each from 0 to 1."""

    denoise: float
    """How much noise, blur and JPEG blocks are taken away."""
    texture: float
    """How much texture is invented: what the command line calls ``--style``."""


def usual_knobs() -> Knobs:
    """What ``gramgan upscale`` uses by default."""
    usual = read_square()
    return Knobs(usual.denoise, usual.style)


class Enlarger:
    """Keeps the network of the last preview, so that the next one starts at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preview: tuple[Knobs, Upscaler] | None = None
        self._loading = threading.Lock()
        """Held during imports: two threads that import torch at once may each see half of it."""
        self._closed = False
        self._warm_up = threading.Thread(target=self._load_usual, name="warm-up", daemon=True)

    def warm_up(self) -> None:
        """Load torch and the usual network in a thread, before the user asks for them."""
        self._warm_up.start()

    def _load_usual(self) -> None:
        with self._lock, suppress(GramganError):  # the first preview says what is wrong
            self._preview_upscaler(usual_knobs())

    def close(self) -> None:
        """Wait for what is being computed, and begin nothing more: Python must not end below a thread that imports."""
        self._closed = True
        with self._lock:
            pass
        self._warm_up.join()

    def preview(self, image: Array, x: int, y: int, side: int, knobs: Knobs) -> Array:
        """Enlarge one square of a photo, with the same values that the whole photo's result has there.

        Args:
            image: (H, W, C), as decoded.
            x: left edge of the square, in pixels of the photo.
            y: top edge.
            side: its side in pixels; cut where the photo ends.
            knobs: how it shall look.

        Returns:
            (4 h, 4 w, C) of the image's sample type.
        """
        with self._lock:
            if self._closed:
                raise GramganError("The page was stopped.", "Start gramgan ui again.")
            upscaler = self._preview_upscaler(knobs)
            left, top = max(0, x - AROUND), max(0, y - AROUND)
            window = np.ascontiguousarray(image[top : y + side + AROUND, left : x + side + AROUND])
            if window.dtype == np.float32:
                window = np.clip(np.nan_to_num(window), 0, 1)
            enlarged = np.asarray(upscaler(window))
        scale = upscaler.scale
        height, width = min(side, image.shape[0] - y), min(side, image.shape[1] - x)
        row, column = (y - top) * scale, (x - left) * scale
        return enlarged[row : row + height * scale, column : column + width * scale]

    def _preview_upscaler(self, knobs: Knobs) -> Upscaler:
        with self._loading:
            from gramgan_cli import load

        if self._preview is None or self._preview[0] != knobs:
            # torch, since a converted network for every position of the knobs would take longer than the preview.
            self._preview = knobs, load(denoise=knobs.denoise, style=knobs.texture, backend="torch")
        return self._preview[1]

    def files(
        self,
        inputs: Sequence[str],
        output: Path | None,
        arguments: UpscaleArguments,
        on_progress: Callable[[float], None],
        on_plan: Callable[[list[str]], None],
    ) -> Iterator[Result]:
        """Start a run over photos or folders.

        Args:
            inputs: paths.
            output: a folder for the results; None puts them beside the photos.
            arguments: how they are made.
            on_progress: called with the number of photos done, with fractions. It may raise ``Cancelled``: nothing
                unfinished stays then.
            on_plan: called with the photos' paths.

        Returns:
            An iterator that does the work and gives a result for each photo, in their order.

        Raises:
            GramganError: what can be known before the work.
        """
        with self._loading:
            from gramgan_cli import upscale_all

        with self._lock:  # conversion traces the network, and while torch traces, no other thread may run one
            return upscale_all(inputs, output, on_progress=on_progress, on_plan=on_plan, **arguments)
