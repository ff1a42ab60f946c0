"""Upscaling for the web interface through the Python API: previews of crops, and whole photos into files.

torch takes seconds to import, so it is imported on first use, after the page is served.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from numpy.typing import NDArray

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights.catalogue import read_square

if TYPE_CHECKING:
    from gramgan_cli import Result, Upscaler
    from gramgan_cli.api.upscale.options import UpscaleArguments
    from gramgan_cli.api.upscale.preview import PreviewPhoto

Array = NDArray[Any]

PREVIEW_SIDE = 192
"""Side of a preview in input pixels: takes well under a second on two cores with the embedded models."""


class Cancelled(Exception):
    """Raised from a callback when the user cancels a run."""


@dataclass(frozen=True)
class Knobs:
    """The two settings of a result's look, each from 0 to 1."""

    denoise: float
    """How much noise, blur and JPEG blocking is removed."""
    texture: float
    """How much texture is invented; ``--style`` on the command line."""


def usual_knobs() -> Knobs:
    """Defaults of ``gramgan upscale``."""
    usual = read_square()
    return Knobs(usual.denoise, usual.style)


class Enlarger:
    """Upscales previews and files; keeps the last preview's network and photo."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preview: tuple[Knobs, Upscaler] | None = None
        self._photo: tuple[ReferenceType[Array], PreviewPhoto] | None = None
        self._loading = threading.Lock()
        """Held during imports, since threads that import torch at the same time may see it partially initialised."""
        self._closed = False
        self._warm_up = threading.Thread(target=self._load_usual, name="warm-up", daemon=True)

    def warm_up(self) -> None:
        """Load torch and the default network in a thread, before the first preview."""
        self._warm_up.start()

    def _load_usual(self) -> None:
        with self._lock, suppress(GramganError):  # the first preview reports the error
            self._preview_upscaler(usual_knobs())

    def close(self) -> None:
        """Wait for the current computation and refuse new ones. Python must not exit while a thread is importing."""
        self._closed = True
        with self._lock:
            pass
        self._warm_up.join()

    def preview(self, image: Array, x: int, y: int, side: int, knobs: Knobs) -> Array:
        """Upscale one square of a photo, to within two levels of the whole photo's result.

        Args:
            image: (H, W, C), as decoded.
            x: left edge of the square, in pixels of the photo.
            y: top edge of the square.
            side: side of the square in pixels; cropped at the photo's edges.
            knobs: denoise and texture settings.

        Returns:
            (4 h, 4 w, C) in the image's dtype.
        """
        with self._lock:
            if self._closed:
                raise GramganError("The page was stopped.", "Start gramgan ui again.")
            upscaler = self._preview_upscaler(knobs)
            with self._loading:
                from gramgan_cli.api.upscale.preview import preview_photo, upscaled_square
            if self._photo is None or self._photo[0]() is not image:
                self._photo = ref(image), preview_photo(image)
            return upscaled_square(upscaler, self._photo[1], x, y, side)

    def _preview_upscaler(self, knobs: Knobs) -> Upscaler:
        with self._loading:
            from gramgan_cli import load

        if self._preview is None or self._preview[0] != knobs:
            # The torch backend, since converting a network for each knob position would take longer than the preview.
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
            inputs: paths of photos or folders.
            output: folder for the results; None puts them next to the photos.
            arguments: arguments of ``upscale_all``.
            on_progress: called with the number of photos done, including the fraction of the current one. It may raise
                ``Cancelled``; no unfinished file is left then.
            on_plan: called with the photos' paths.

        Returns:
            Iterator that upscales the photos and yields their results in order.

        Raises:
            GramganError: the run can't start.
        """
        with self._loading:
            from gramgan_cli import upscale_all

        with self._lock:  # conversion traces the network; no other thread may run one meanwhile
            return upscale_all(inputs, output, on_progress=on_progress, on_plan=on_plan, **arguments)
