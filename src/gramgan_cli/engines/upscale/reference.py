"""Upscaling with a reference photo, in tiles, and looking up where patches of a result came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.archs.ttsr import TTSR, Reference
from gramgan_cli.core.archs.ttsr.search import Match
from gramgan_cli.core.data.crops import to_tensor
from gramgan_cli.core.resize.matlab import imresize
from gramgan_cli.core.tiling.tiles import Span, Tiling, spans
from gramgan_cli.engines.upscale.options import PrecisionChoice, TileChoice
from gramgan_cli.engines.upscale.upscaler import PRACTICAL_HALO, Upscaler

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

WINDOW = 256
"""Pictures of up to WINDOW^2 LR pixels are enlarged as a whole, larger ones in windows of this side. That takes 3 GB
with a reference of 1024 x 1024."""

LARGEST_REFERENCE = 2**21
"""Pixels; a larger reference is reduced. Its features take half a kilobyte per pixel."""


class Bound(nn.Module):
    """A TTSR network with a fixed reference, so that it takes only the LR picture, as ``Upscaler`` expects."""

    def __init__(self, network: TTSR, reference: Reference) -> None:
        super().__init__()
        self.network = network
        self.reference = reference

    def forward(self, lr: Tensor) -> Tensor:
        """RGB (B, 3, h, w) in [0, 1] -> RGB (B, 3, 4h, 4w) in [0, 1]."""
        return torch.cat([self.network.enlarge(one[None], self.reference) for one in lr])


@dataclass(frozen=True)
class _BoundModel:
    """Model for ``Upscaler``."""

    network: Bound
    descriptor: Descriptor


class ReferenceUpscaler:
    """An ``Upscaler`` for models with a reference. Each tile searches the whole reference.

    Args:
        network: in evaluation mode; moved to ``device``.
        descriptor: the network's descriptor.
        reference: ``uint8`` RGB (H, W, 3).
        device: from ``core.backends.device.pick_device``.
        tile: tile side in LR pixels, 0 for the whole picture; 'auto' tiles pictures of more than 256^2 pixels.
        precision, tta, seamless: as in ``Upscaler``.
    """

    smooths = False

    def __init__(
        self,
        network: TTSR,
        descriptor: Descriptor,
        reference: Pixels,
        device: torch.device,
        tile: TileChoice = "auto",
        precision: PrecisionChoice = "fp32",
        tta: bool = False,
        seamless: bool = False,
    ) -> None:
        self.scale = descriptor.scale
        self.reference_picture = reference[: reference.shape[0] // 4 * 4, : reference.shape[1] // 4 * 4]
        self._network, self._device, self._automatic = network.eval().to(device), device, tile == "auto"
        with torch.inference_mode():
            features = self._network.read_reference(to_tensor([reference]).to(device))
        self._bound = Bound(self._network, features)
        side = WINDOW - 2 * PRACTICAL_HALO if tile == "auto" else tile
        self._upscaler = Upscaler(_BoundModel(self._bound, descriptor), device, side, precision, tta, seamless)
        self._last_tile = self._upscaler.tile

    @property
    def on_note(self) -> Callable[[str], None]:
        """Callback for messages to the user during a run."""
        return self._upscaler.on_note

    @on_note.setter
    def on_note(self, callback: Callable[[str], None]) -> None:
        self._upscaler.on_note = callback

    @property
    def tile(self) -> int:
        """Tile side used for the last picture, 0 for the whole picture."""
        return self._last_tile

    def _tiling_for(self, image: Array) -> Tiling:
        whole = self._automatic and image.shape[0] * image.shape[1] <= WINDOW**2
        return replace(self._upscaler.tiling, tile=0) if whole else self._upscaler.tiling

    def bands(self, image: Array) -> Iterator[Array]:
        """Upscale (H, W, C) uint8, uint16 or float32; yield bands of rows of (4 H, 4 W, C), from top to bottom."""
        usual = self._upscaler.tiling
        self._upscaler.tiling = chosen = self._tiling_for(image)
        try:
            yield from self._upscaler.bands(image)
        finally:
            self._last_tile = self._upscaler.tile
            if self._upscaler.tiling == chosen:  # otherwise memory ran out and the smaller tile stays
                self._upscaler.tiling = usual

    @torch.inference_mode()
    def look_up(self, lr: Pixels) -> Match:
        """Match scores S and positions H of a picture, ``uint8`` RGB (h, w, 3), in the same tiles as ``bands``."""
        height, width = lr.shape[:2]
        positions, scores = torch.zeros((1, height, width), dtype=torch.int64), torch.zeros((1, 1, height, width))
        tiling = replace(self._tiling_for(lr), wrap=False)
        for rows in spans(height, tiling):
            for columns in spans(width, tiling):
                window = lr[_seen(rows), _seen(columns)]
                found = self._network.look_up(to_tensor([window]).to(self._device), self._bound.reference)
                here = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
                positions[(..., *here)] = found.positions[(..., _kept(rows), _kept(columns))].cpu()
                scores[(..., *here)] = found.scores[(..., _kept(rows), _kept(columns))].cpu()
        return Match(positions, scores, found.reference_size)


def _seen(span: Span) -> slice:
    return slice(span.window, span.window + span.size)


def _kept(span: Span) -> slice:
    return slice(span.start - span.window, span.stop - span.window)


def reduce_reference(reference: Pixels, note: Callable[[str], None]) -> Pixels:
    """Reduce a reference to at most ``LARGEST_REFERENCE`` pixels."""
    height, width = reference.shape[:2]
    if height * width <= LARGEST_REFERENCE:
        return reference
    factor = (LARGEST_REFERENCE / (height * width)) ** 0.5
    smaller = imresize(reference, factor, size=(int(height * factor), int(width * factor)))
    note(f"The reference was reduced from {width}x{height} to {smaller.shape[1]}x{smaller.shape[0]} for the search.")
    return smaller
