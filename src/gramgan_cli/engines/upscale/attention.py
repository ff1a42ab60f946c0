"""Attention pictures: what a result took from its reference, and the confidence of the match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.archs.ttsr.search import Match, transfer
from gramgan_cli.core.data.crops import to_tensor
from gramgan_cli.core.data.datasets import read_picture
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.engines.upscale.reference import ReferenceUpscaler

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

PICTURES = ("where", "sure", "copied", "reference")
"""Suffixes of the attention pictures' file names."""


def attention_paths(folder: Path, stems: list[str], overwrite: bool, skip_existing: bool) -> dict[str, dict[str, Path]]:
    """Files to write in ``folder``, by stem and suffix.

    Raises UsageError if two pictures share a stem, or if a file exists and neither option is set.
    """
    for stem in stems:
        if stems.count(stem) > 1:
            raise UsageError(f"Two photos are called '{stem}'.", "Run the command with `save_attention` once for each.")
    paths = {stem: {ending: folder / f"{stem}_{ending}.png" for ending in PICTURES} for stem in stems}
    for files in paths.values():
        for path in files.values():
            if path.exists() and not overwrite and not skip_existing:
                raise UsageError(f"{path} already exists.", "Replace it with `overwrite`.")
    if skip_existing:
        return {stem: {end: path for end, path in files.items() if not path.exists()} for stem, files in paths.items()}
    return paths


def save_attention(upscaler: ReferenceUpscaler, photo: Path, paths: dict[str, Path]) -> str | None:
    """Match a photo with the reference again and write its attention pictures.

    Returns an error message, or None, so that one failure does not stop the other photos.
    """
    try:
        match = upscaler.look_up(read_picture(photo))
        pictures = attention_pictures(match, upscaler.reference_picture)
        for ending, path in paths.items():
            with replacing(path) as temporary:
                Image.fromarray(pictures[ending]).save(temporary, format="PNG")
    except GramganError as error:
        return str(error)
    return None


def attention_pictures(match: Match, reference: Pixels) -> dict[str, Pixels]:
    """Attention pictures of one match (batch of one), all but the last in the size of SR.

    Args:
        match: over the grid of ``reference``.
        reference: ``uint8`` RGB, sides divisible by 4.

    Returns:
        ``where``: position in the reference as a colour; red increases to the right, green downwards.
        ``sure``: the match score S, from black (0 or less) to white (1).
        ``copied``: the reference's pixels, transferred like its features.
        ``reference``: the reference blended with its position colours, as the key to ``where``.
    """
    hk, wk = match.reference_size
    y, x = match.positions[0] // wk, match.positions[0] % wk
    copied = transfer(to_tensor([reference]), match)[0].permute(1, 2, 0).numpy()
    own_y, own_x = np.mgrid[0:hk, 0:wk]
    key = reference * 0.5 + _blocks(_position_colours(own_y, own_x, (hk, wk))) * 0.5
    sure = (match.scores[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return {
        "where": _blocks(_position_colours(y.numpy(), x.numpy(), (hk, wk))),
        "sure": _blocks(sure),
        "copied": (copied * 255 + 0.5).clip(0, 255).astype(np.uint8),
        "reference": (key + 0.5).astype(np.uint8),
    }


def _position_colours(y: Array, x: Array, size: tuple[int, int]) -> Pixels:
    """Colours (h, w, 3) of positions (h, w) in a grid: red is relative x, green relative y, blue falls with both."""
    red, green = x / max(1, size[1] - 1), y / max(1, size[0] - 1)
    colours = np.stack((red, green, 1 - (red + green) / 2), axis=-1)
    return (colours * 255 + 0.5).astype(np.uint8)


def _blocks(picture: Pixels) -> Pixels:
    """Repeat each pixel as a block of 4 x 4."""
    return np.asarray(picture.repeat(4, axis=0).repeat(4, axis=1))
