"""Models and interpolations behind one interface: name, scale and a function from LR to SR."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from gramgan_cli.core.archs import parameter_count
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.resize import baselines
from gramgan_cli.core.resize.baselines import BASELINES, interpolated
from gramgan_cli.core.resize.matlab import Levels
from gramgan_cli.core.weights.embedded import RESTORE
from gramgan_cli.core.weights.load import LoadedModel, load_model
from gramgan_cli.core.weights.mixing.square import automatic_style, cleaning_of, square_model
from gramgan_cli.engines.upscale.reference import ReferenceUpscaler, reduce_reference
from gramgan_cli.engines.upscale.upscaler import Restoration, Upscaler

Pixels = NDArray[np.uint8]
"""RGB (H, W, 3)."""


Tile = int | Literal["auto"]
"""Tile side in input pixels; 0 is the whole picture, 'auto' fits the memory."""

COST_HEIGHT, COST_WIDTH = 720, 1280
"""Result size for which multiply-adds are counted, as in papers."""


@dataclass(frozen=True)
class Enlarger:
    """A model or an interpolation."""

    name: str
    scale: int
    enlarge: Callable[[Levels, Pixels | None], Levels]
    """Takes ``uint8`` RGB (h, w, 3) or ``uint16`` grey (h, w, 1), and a reference (H', W', 3), which most ignore.
    Returns the same type as (scale h, scale w, C)."""
    needs_reference: bool = False
    """Whether a reference is required."""
    interpolation: str | None = None
    """Key in ``BASELINES``; None for a model."""
    parameters: int | None = None
    """Number of parameters of a model, with those of restoration."""
    multiply_adds: int | None = None
    """Multiply-adds for a result of 1280 x 720, with those of restoration; None if they can't be counted."""


def interpolation(name: str, scale: int) -> Enlarger:
    """Enlarger of one of ``BASELINES``, by an integer factor."""
    function = BASELINES[name]

    def enlarge(lr: Levels, _: Pixels | None) -> Levels:
        return interpolated(lr, name, scale) if lr.dtype == np.uint16 else function(lr.astype(np.uint8), scale)

    return Enlarger(name, scale, enlarge, interpolation=name)


def open_model(name: str, device: torch.device, tile: Tile, on_note: Callable[[str], None]) -> Enlarger:
    """Load a model by name or from a file, on ``device``.

    ``on_note`` is called with messages for the user.

    Raises:
        UsageError: the name stands for another model per photo.
        GramganError: the model can't be loaded.
    """
    if (style := automatic_style(name)) is not None:
        raise UsageError(
            f"'{name}' chooses a model for each photo, so it can't be measured as one model.",
            f"Measure a fixed mixture, such as {square_model(0.5, style)}.",
        )
    model = load_model(name)
    parameters, cost = parameter_count(model.network), multiply_adds(model)
    if model.descriptor.needs_reference:
        enlarge = _referenced(model, device, tile, on_note)
        return Enlarger(model.name, model.descriptor.scale, enlarge, True, None, parameters, cost)
    strength = cleaning_of(name)
    restoration = None
    if strength:
        cleaner = load_model(RESTORE)
        restoration = Restoration(Upscaler(cleaner, device), strength)
        parameters += parameter_count(cleaner.network)
        before = multiply_adds(cleaner, COST_HEIGHT // model.descriptor.scale, COST_WIDTH // model.descriptor.scale)
        cost = None if cost is None or before is None else cost + before
    upscaler = Upscaler(model, device, tile, restoration=restoration)
    upscaler.on_note = on_note
    return Enlarger(
        model.name,
        model.descriptor.scale,
        lambda lr, _: upscaler.upscale(lr),
        parameters=parameters,
        multiply_adds=cost,
    )


def multiply_adds(model: LoadedModel, height: int = COST_HEIGHT, width: int = COST_WIDTH) -> int | None:
    """Count the multiply-adds of convolutions and matrix products for a result of that size.

    The network runs on the meta device, so nothing is computed. Returns None for networks with a reference and those
    that can't run on that device.
    """
    if model.descriptor.needs_reference:
        return None
    multiple = model.descriptor.multiple_of
    height, width = (-(-side // model.descriptor.scale // multiple) * multiple for side in (height, width))
    counter = FlopCounterMode(display=False)
    try:
        network = copy.deepcopy(model.network).to("meta")
        with torch.no_grad(), counter:
            network(torch.empty(1, model.descriptor.in_channels, height, width, device="meta"))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError):
        return None  # the network creates or compares values in its forward pass
    return int(counter.get_total_flops()) // 2


def _referenced(
    model: LoadedModel, device: torch.device, tile: Tile, on_note: Callable[[str], None]
) -> Callable[[Levels, Pixels | None], Levels]:
    """Function that upscales like ``gramgan upscale --ref``, with a reference per picture."""
    network, descriptor = model.network, model.descriptor
    assert isinstance(network, TTSR)

    def enlarge(lr: Levels, reference: Pixels | None) -> Levels:
        assert reference is not None
        upscaler = ReferenceUpscaler(network, descriptor, reduce_reference(reference, on_note), device, tile)
        return np.concatenate(list(upscaler.bands(lr)))

    return enlarge


def open_enlargers(
    names: Sequence[str],
    device: torch.device,
    tile: Tile,
    on_note: Callable[[str], None],
    scale: int | None = None,
) -> list[Enlarger]:
    """Open models and interpolations in the order of ``names``; interpolations take the models' scale.

    Args:
        names: interpolations (nearest, bilinear, bicubic, lanczos), names of models, files or mixtures. Files of the
            same name are labelled with their folders: ``a/last`` and ``b/last``.
        device: device of the models.
        tile: tile side of the models.
        on_note: called with messages for the user.
        scale: scale factor; None means the models', or 4 without models.

    Raises:
        UsageError: a name is given twice, or scales differ.
        GramganError: a model can't be loaded.
    """
    for index, name in enumerate(names):
        if name in names[:index]:
            raise UsageError(f"'{name}' is listed twice.", "List each model only once.")
    models = {name: open_model(name, device, tile, on_note) for name in names if name not in BASELINES}
    scale = _common_scale(list(models.values()), scale)
    enlargers = [models.get(name) or interpolation(name, scale) for name in names]
    labels = distinct_labels([enlarger.name for enlarger in enlargers], [_file_of(name) for name in names])
    return [replace(enlarger, name=label) for enlarger, label in zip(enlargers, labels, strict=True)]


def _common_scale(models: Sequence[Enlarger], wanted: int | None) -> int:
    for model in models:
        if model.scale != models[0].scale:
            raise UsageError(
                f"'{models[0].name}' enlarges by {models[0].scale}, '{model.name}' by {model.scale}.",
                "Compare models of the same scale.",
            )
        if wanted not in (None, model.scale):
            raise UsageError(f"'{model.name}' enlarges by {model.scale}, not by {wanted}.", "Leave the scale out.")
    return models[0].scale if models else wanted or baselines.SCALE


def _file_of(name: str) -> Path | None:
    """The weights file that ``name`` is; None for an interpolation, a stored model or a mixture."""
    path = Path(name)
    return path.resolve() if name not in BASELINES and path.is_file() else None


def distinct_labels(names: Sequence[str], paths: Sequence[Path | None]) -> list[str]:
    """Make names distinct: those that occur more than once get as many parent folders of their path as needed.

    Where folders can't tell them apart, they become whole paths without the root, and what is still equal is numbered.

    Raises UsageError if a file or folder is given twice.
    """
    seen: dict[tuple[str, Path | None], int] = {}
    for index, pair in enumerate(zip(names, paths, strict=True)):
        if pair in seen:
            raise UsageError(f"{pair[1] or pair[0]} is listed twice.", "List each only once.")
        seen[pair] = index
    labels = list(names)
    deepest = max((len(path.parent.parts) for path in paths if path is not None), default=0)
    for depth in range(1, deepest):
        for index in _repeated(labels):
            path = paths[index]
            if path is not None:
                labels[index] = "/".join((*path.parent.parts[1:][-depth:], names[index]))
    for index in _repeated(labels):
        path = paths[index]
        if path is not None:
            labels[index] = "/".join(path.parts[1:])  # without the root, since labels name folders of results
    return _numbered(labels)


def _repeated(labels: Sequence[str]) -> list[int]:
    """Positions of labels that occur more than once."""
    return [index for index, label in enumerate(labels) if labels.count(label) > 1]


def _numbered(labels: Sequence[str]) -> list[str]:
    """Labels where all after the first of a kind are numbered, as in 'a', 'a (2)'."""
    used = set(labels)
    found: list[str] = []
    for label in labels:
        new = label
        number = 2
        while new in found or (new != label and new in used):
            new = f"{label} ({number})"
            number += 1
        found.append(new)
    return found
