"""The one module of the page that upscales: previews of crops, and whole photos into files.

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
from gramgan_cli.core.weights.mixing.square import square_model
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.result import Result

if TYPE_CHECKING:
    from gramgan_cli.engines.upscale.session import Session
    from gramgan_cli.engines.upscale.upscaler import Upscaler

Array = NDArray[Any]

PREVIEW_SIDE = 192
"""Input pixels of a preview's side: enlarged in well under a second on two cores, with the embedded models."""


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
    """What ``gramgan upscale`` uses when nothing is said."""
    usual = read_square()
    return Knobs(usual.denoise, usual.style)


def model_of(knobs: Knobs) -> str:
    """The mixture of the embedded models that the knobs mean."""
    return square_model(knobs.denoise, knobs.texture)


class Enlarger:
    """Keeps the network of the last preview and of the last run, so that the next one starts at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preview: tuple[str, Upscaler] | None = None
        self._run: tuple[str, Session] | None = None
        self._loading = threading.Lock()
        """Held during imports: two threads that import torch at once may each see half of it."""
        self._closed = False
        self._warm_up = threading.Thread(target=self._load_usual, name="warm-up", daemon=True)

    def warm_up(self) -> None:
        """Load torch and the usual network in a thread, before the user asks for them."""
        self._warm_up.start()

    def _load_usual(self) -> None:
        with self._lock, suppress(GramganError):  # the first preview says what is wrong
            self._preview_upscaler(model_of(usual_knobs()))

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
        with self._loading:
            from gramgan_cli.core.images.alpha import extend_colours

        with self._lock:
            if self._closed:
                raise GramganError("The page was stopped.", "Start gramgan ui again.")
            upscaler = self._preview_upscaler(model_of(knobs))
            halo = upscaler.tiling.halo
            left, top = max(0, x - halo), max(0, y - halo)
            window = np.ascontiguousarray(image[top : y + side + halo, left : x + side + halo])
            if window.shape[2] in (2, 4):
                window = extend_colours(window)
            if window.dtype == np.float32:
                window = np.clip(np.nan_to_num(window), 0, 1)
            enlarged = np.concatenate(list(upscaler.bands(window)))
        scale = upscaler.scale
        height, width = min(side, image.shape[0] - y), min(side, image.shape[1] - x)
        row, column = (y - top) * scale, (x - left) * scale
        return enlarged[row : row + height * scale, column : column + width * scale]

    def _preview_upscaler(self, model: str) -> Upscaler:
        with self._loading:
            from gramgan_cli.engines.upscale.session import open_session
            from gramgan_cli.engines.upscale.upscaler import Upscaler

        if self._preview is None or self._preview[0] != model:
            # torch, since a converted network for every position of the knobs would take longer than the preview.
            source = open_session(UpscaleOptions(model=model, backend="torch")).source
            assert isinstance(source, Upscaler)
            self._preview = model, source
        return self._preview[1]

    def files(
        self,
        inputs: Sequence[str],
        output: Path | None,
        options: UpscaleOptions,
        on_progress: Callable[[float], None],
    ) -> tuple[list[str], Iterator[Result]]:
        """Plan a run over photos or folders.

        Args:
            inputs: paths.
            output: a folder for the results; None puts them beside the photos.
            options: how they are made.
            on_progress: called with the number of photos done, with fractions. It may raise ``Cancelled``: nothing
                unfinished stays then.

        Returns:
            the photos' paths, and an iterator that does the work and gives a result for each, in their order.

        Raises:
            GramganError: what can be known before the work.
        """
        with self._loading:
            from gramgan_cli.engines.upscale.pipeline import upscale_files
            from gramgan_cli.engines.upscale.plan import plan_jobs
            from gramgan_cli.engines.upscale.session import open_session

        if self._run is None or self._run[0] != options.model:
            with self._lock:  # conversion traces the network, and while torch traces, no other thread may run one
                self._run = options.model, open_session(options)
        session = self._run[1]
        plan = plan_jobs(inputs, None if output is None else str(output), options, session)
        return [job.source for job in plan.jobs], upscale_files(plan.jobs, session, options, on_progress)
