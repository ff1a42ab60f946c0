"""Pictures of what a result took from its reference, and how sure the match is."""

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
"""Endings of the attention pictures."""


def attention_paths(folder: Path, stems: list[str], overwrite: bool, skip_existing: bool) -> dict[str, dict[str, Path]]:
    """Stem -> ending -> file in ``folder`` that is to be written; an error where two pictures share a stem.

    A file that is there already is replaced, left out, or an error.
    """
    for stem in stems:
        if stems.count(stem) > 1:
            raise UsageError(
                f"Two pictures are called '{stem}'.", "Call the command once for each with --save-attention."
            )
    paths = {stem: {ending: folder / f"{stem}_{ending}.png" for ending in PICTURES} for stem in stems}
    for files in paths.values():
        for path in files.values():
            if path.exists() and not overwrite and not skip_existing:
                raise UsageError(f"{path} exists already.", "Replace it with --overwrite.")
    if skip_existing:
        return {stem: {end: path for end, path in files.items() if not path.exists()} for stem, files in paths.items()}
    return paths


def save_attention(upscaler: ReferenceUpscaler, photo: Path, paths: dict[str, Path]) -> str | None:
    """Look the photo up once more and write where each patch came from, how sure the match is, and what was copied.

    Returns what went wrong, so that the other photos can go on.
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
    """The pictures of one match (batch of one), of the size of SR except for the last one.

    Args:
        match: over the grid of ``reference``.
        reference: ``uint8`` RGB, sides that divide by 4.

    Returns:
        ``where``: the position in the reference as a colour, red grows to the right and green downwards.
        ``sure``: S from black (0 or less) to white (1).
        ``copied``: the reference's pixels, brought over by the same attention as its features.
        ``reference``: the reference under its own colours, the key to ``where``.
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
    """Positions (h, w) in a grid -> (h, w, 3): red is x and green is y over the grid, blue falls with both."""
    red, green = x / max(1, size[1] - 1), y / max(1, size[0] - 1)
    colours = np.stack((red, green, 1 - (red + green) / 2), axis=-1)
    return (colours * 255 + 0.5).astype(np.uint8)


def _blocks(picture: Pixels) -> Pixels:
    """Each pixel as a square of 4 x 4."""
    return np.asarray(picture.repeat(4, axis=0).repeat(4, axis=1))
