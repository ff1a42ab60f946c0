"""``gramgan models interpolate``: interpolating the weights of two models, and a strip that compares results."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gramgan_cli.core.backends.device import pick_device
from gramgan_cli.core.data.datasets import read_picture
from gramgan_cli.core.errors import ModelExists, UsageError
from gramgan_cli.core.io.files import check_target, replacing
from gramgan_cli.core.weights import interop, store
from gramgan_cli.core.weights.header import save_weights
from gramgan_cli.core.weights.load import LoadedModel, assemble, load_model, mixed_weights
from gramgan_cli.core.weights.mixing.interpolate import check_alike
from gramgan_cli.core.weights.store import StoredModel
from gramgan_cli.engines.upscale.upscaler import Upscaler

ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Interpolation weights shown in the strip, besides the requested one."""

CROP = 64
"""Side in LR pixels of the photo's centre that the strip shows."""
MARGIN = 32
"""LR pixels around the centre that the network also sees."""
LABEL, GAP = 24, 8


def open_pair(first: str, second: str) -> tuple[LoadedModel, LoadedModel]:
    """Load two models of the same network. Raises UsageError that names the difference if they are not."""
    models = load_model(first), load_model(second)
    for model in models:
        if model.header.arch == interop.ARCH:
            raise UsageError(f"'{model.name}' is a network of another tool, so it can't be mixed.")
    check_alike(models[0].header, models[1].header, (models[0].name, models[1].name))
    return models


def store_interpolated(pair: tuple[LoadedModel, LoadedModel], alpha: float, name: str, overwrite: bool) -> StoredModel:
    """Interpolate the weights of ``pair`` and put the result into the store as ``name``."""
    store.check_free(name)
    if not overwrite and store.find(name) is not None:
        raise ModelExists(f"The store already has a model '{name}'.")
    header, tensors = mixed_weights(pair, (1 - alpha, alpha))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "interpolated.safetensors"
        save_weights(file, tensors, header)
        return store.put(name, file)


def check_strip(pair: tuple[LoadedModel, LoadedModel], photo: Path, name: str, overwrite: bool, device: str) -> Path:
    """Path of the strip of ``photo``. Raises GramganError if it can't be made or already exists."""
    if pair[0].descriptor.needs_reference:
        raise UsageError(f"'{pair[0].name}' needs a reference image, which `strip` does not support.")
    store.check_free(name)
    pick_device(device)
    read_picture(photo)
    path = photo.with_name(f"{photo.stem}_{name}_strip.png")
    check_target(path, overwrite)
    return path


def write_strip(pair: tuple[LoadedModel, LoadedModel], alpha: float, photo: Path, path: Path, device: str) -> None:
    """Write the photo's centre, upscaled by mixtures from the first model to the second, side by side."""
    window, inner = _middle(read_picture(photo))
    shown = sorted({*ALPHAS, alpha})
    panels = [_panel(pair, value, window, inner, device) for value in shown]
    height, width = panels[0].shape[:2]
    canvas = Image.new("RGB", (len(panels) * (width + GAP) + GAP, height + LABEL + 2 * GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=15)
    for index, (value, panel) in enumerate(zip(shown, panels, strict=True)):
        left = GAP + index * (width + GAP)
        label = {0.0: f"0: {pair[0].name}", 1.0: f"1: {pair[1].name}"}.get(value, f"{value:g}")
        draw.text((left, GAP), label[: width // 9], fill="black", font=font)
        canvas.paste(Image.fromarray(panel), (left, GAP + LABEL))
    with replacing(path) as temporary:
        canvas.save(temporary, format="PNG")


def _middle(photo: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[slice, slice]]:
    """Window around the photo's centre, and the slices of the shown part in it (LR pixels)."""
    window, inner = [], []
    for length in photo.shape[:2]:
        start, stop = max(0, (length - CROP) // 2), min(length, (length + CROP) // 2)
        first, last = max(0, start - MARGIN), min(length, stop + MARGIN)
        window.append(slice(first, last))
        inner.append(slice(start - first, stop - first))
    return photo[window[0], window[1]], (inner[0], inner[1])


def _panel(
    pair: tuple[LoadedModel, LoadedModel],
    alpha: float,
    window: NDArray[np.uint8],
    inner: tuple[slice, slice],
    device: str,
) -> NDArray[np.uint8]:
    """The shown part of ``window``, upscaled by one mixture."""
    first, second = pair
    mixture = _mixture(first, second, alpha)
    result = Upscaler(mixture, pick_device(device), 0).upscale(window)
    rows, columns = (
        slice(part.start * mixture.descriptor.scale, part.stop * mixture.descriptor.scale) for part in inner
    )
    return np.ascontiguousarray(result[rows, columns])


def _mixture(first: LoadedModel, second: LoadedModel, alpha: float) -> LoadedModel:
    """A new model with the mixed weights; ``first`` and ``second`` are unchanged."""
    header, tensors = mixed_weights((first, second), (1 - alpha, alpha))
    return assemble(f"{alpha:g}", header, tensors, Path(first.name))
