"""Models and interpolations behind one interface: a name, a scale, and a function from LR to SR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize import baselines
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.weights.load import LoadedModel, load_model
from gramgan_cli.engines.upscale.reference import ReferenceUpscaler, reduce_reference
from gramgan_cli.engines.upscale.upscaler import Upscaler

Pixels = NDArray[np.uint8]


Tile = int | Literal["auto"]
"""Side of a tile in input pixels, 0 for the whole picture, 'auto' for what memory allows."""


@dataclass(frozen=True)
class Enlarger:
    """Something that makes pictures larger."""

    name: str
    scale: int
    enlarge: Callable[[Pixels, Pixels | None], Pixels]
    """``uint8`` RGB (h, w, 3) and a reference (H', W', 3), which most ignore -> (scale h, scale w, 3)."""
    needs_reference: bool = False
    """Whether the reference must be there."""


def open_enlarger(name: str, device: torch.device, tile: Tile, note: Callable[[str], None]) -> Enlarger:
    """An interpolation (nearest, bilinear, bicubic, lanczos), or the model of that name or file, on ``device``.

    ``note`` is told what the person should know while it runs. Raises GramganError for what can't be loaded.
    """
    if name in BASELINES:
        interpolate = BASELINES[name]
        return Enlarger(name, baselines.SCALE, lambda lr, _: interpolate(lr))
    model = load_model(name)
    if model.descriptor.needs_reference:
        return Enlarger(
            model.name, model.descriptor.scale, _referenced(model, device, tile, note), needs_reference=True
        )
    upscaler = Upscaler(model, device, tile, on_note=note)
    return Enlarger(model.name, model.descriptor.scale, lambda lr, _: upscaler.upscale(lr))


def _referenced(
    model: LoadedModel, device: torch.device, tile: Tile, note: Callable[[str], None]
) -> Callable[[Pixels, Pixels | None], Pixels]:
    """What ``gramgan upscale --ref`` does, with another reference for each picture."""
    network, descriptor = model.network, model.descriptor
    assert isinstance(network, TTSR)

    def enlarge(lr: Pixels, reference: Pixels | None) -> Pixels:
        assert reference is not None
        upscaler = ReferenceUpscaler(network, descriptor, reduce_reference(reference, note), device, tile)
        return np.concatenate(list(upscaler.bands(lr)))

    return enlarge


def open_enlargers(
    names: Sequence[str], device: torch.device, tile: Tile, note: Callable[[str], None]
) -> list[Enlarger]:
    """All of them; they must differ in name and agree in scale."""
    enlargers = [open_enlarger(name, device, tile, note) for name in names]
    seen: dict[str, Enlarger] = {}
    for enlarger in enlargers:
        if enlarger.name in seen:
            raise UsageError(f"--model names '{enlarger.name}' twice.", "Give each model once, under its own name.")
        seen[enlarger.name] = enlarger
        if enlarger.scale != enlargers[0].scale:
            raise UsageError(
                f"'{enlargers[0].name}' enlarges by {enlargers[0].scale}, '{enlarger.name}' by {enlarger.scale}.",
                "Compare models of one scale.",
            )
    return enlargers
