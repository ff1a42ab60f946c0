"""Writing the masks that training would make of photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import read_rgb
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.texture.masks import CELL, Mode, texture_mask

_SHADE = np.array([40, 0, 90], dtype=np.float64)
"""RGB colour that covers untextured areas in an overlay."""
_COVER = 0.7


@dataclass(frozen=True)
class MaskMade:
    """Result for one picture."""

    source: Path
    target: Path
    textured: float | None
    """Share of textured area, 0 to 1; None if the picture failed."""
    error: str | None = None


def plan_masks(source: Path, out: Path, overwrite: bool) -> list[tuple[Path, Path]]:
    """(picture, mask file) pairs for a picture and a file ``out``, or for a folder and a folder ``out``.

    Raises GramganError, before any work, if a mask could not be written.
    """
    if source.is_dir():
        if out.is_file():
            raise UsageError(f"{source} is a folder, but {out} is a file.", "Use a folder for `output`.")
        pairs = [(picture, out / f"{picture.stem}.png") for picture in list_pictures(source)]
        _refuse_shared_targets(pairs)
    else:
        if not source.is_file():
            raise GramganError(f"There is no photo or folder {source}.")
        if out.is_dir():
            raise UsageError(f"{source} is one photo, but {out} is a folder.", "Use a file for `output`: mask.png.")
        if out.suffix.lower() != ".png":
            raise UsageError(f"Masks are PNG files, so `output` can't be '{out}'.", "Use a name that ends in .png.")
        pairs = [(source, out)]
    for picture, target in pairs:
        if target.exists() and target.samefile(picture):
            raise UsageError(f"The mask would replace the photo {picture} itself.", "Choose another file.")
        if target.exists() and not overwrite:
            raise UsageError(
                f"{target} already exists.", "Replace it with `overwrite`, or choose another file with `output`."
            )
    return pairs


def _refuse_shared_targets(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Raise GramganError if two pictures with the same stem would share a file."""
    taken: dict[Path, Path] = {}
    for picture, target in pairs:
        if target in taken:
            raise GramganError(
                f"The masks of {taken[target]} and {picture} would both be written to {target}.", "Rename one."
            )
        taken[target] = picture


def make_masks(
    pairs: Sequence[tuple[Path, Path]],
    *,
    mode: Mode = "grid",
    cell: int = CELL,
    delta: float | None = None,
    overlay: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[MaskMade]:
    """Write the mask of each picture as 8-bit grey, 0 or 255, in the photo's size, or as an overlay on the photo.

    A picture that can't be read does not stop the others; its result has the error.

    Args:
        pairs: (picture, mask file), from ``plan_masks``.
        mode, cell, delta: as in ``core.texture.masks.texture_mask``; a sliding cell must be odd.
        overlay: write the photo with untextured areas covered, instead of the mask.
        progress: called with (pictures done, total).
    """
    if mode == "sliding" and cell % 2 == 0:
        raise UsageError(f"A sliding window needs an odd size, not {cell}.", f"Use `cell` {cell + 1}.")
    made = []
    for done, (source, target) in enumerate(pairs, start=1):
        try:
            share = _make_mask(source, target, mode, cell, delta, overlay)
            made.append(MaskMade(source, target, share))
        except GramganError as error:
            made.append(MaskMade(source, target, None, str(error)))
        if progress is not None:
            progress(done, len(pairs))
    return made


def _make_mask(source: Path, target: Path, mode: Mode, cell: int, delta: float | None, overlay: bool) -> float:
    """Write the mask of one picture; return the share of textured area."""
    photo = read_rgb(source)
    if mode == "sliding" and min(photo.shape[:2]) <= cell // 2:
        raise GramganError(f"{source} is too small for a window of {cell} px.")
    tensor = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255
    mask = texture_mask(tensor, mode, cell, delta)[0, 0].bool().numpy()
    picture = _overlay(photo, mask) if overlay else mask.astype(np.uint8) * 255
    with replacing(target) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    return float(mask.mean())


def _overlay(photo: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The photo with its untextured areas covered."""
    covered = photo * (1 - _COVER) + _SHADE * _COVER
    return np.where(mask[..., None], photo, np.round(covered)).astype(np.uint8)
