"""Models and interpolations behind one interface: a name, a scale, and a function from LR to SR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gramgan_cli.core import baselines
from gramgan_cli.core.baselines import BASELINES
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.upscale import Upscaler

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Enlarger:
    """Something that makes pictures larger."""

    name: str
    scale: int
    enlarge: Callable[[Image], Image]
    """``uint8`` RGB (h, w, 3) -> (scale h, scale w, 3)."""


def open_enlarger(
    name: str, device: torch.device, tile: int | Literal["auto"], note: Callable[[str], None]
) -> Enlarger:
    """An interpolation (nearest, bilinear, bicubic, lanczos), or the model of that name or file, on ``device``.

    ``note`` is told what the person should know while it runs. Raises GramganError for what can't be loaded, and for
    models that need a reference picture.
    """
    if name in BASELINES:
        return Enlarger(name, baselines.SCALE, BASELINES[name])
    model = load_model(name)
    if model.descriptor.needs_reference:
        raise GramganError(f"The model '{model.name}' needs a reference picture, which this command does not give it.")
    upscaler = Upscaler(model, device, tile, on_note=note)
    return Enlarger(model.name, model.descriptor.scale, upscaler.upscale)


def open_enlargers(
    names: Sequence[str], device: torch.device, tile: int | Literal["auto"], note: Callable[[str], None]
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
