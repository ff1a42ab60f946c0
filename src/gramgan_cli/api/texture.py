"""Texture banks for training, and masks of textured areas."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import fspath
from pathlib import Path
from typing import TypedDict, Unpack, get_args

from gramgan_cli.api.arguments import AnyPath, check_known
from gramgan_cli.core.errors import UsageError, check_choice, check_number
from gramgan_cli.core.io.files import check_target
from gramgan_cli.core.texture.masks import Mode
from gramgan_cli.core.texture.patchdb.bank import Bank, default_bank, load_bank
from gramgan_cli.engines.data.bank import build_bank as build
from gramgan_cli.engines.data.bank import find_bank_photos
from gramgan_cli.engines.data.mask import MaskMade, make_masks, plan_masks

__all__ = ["Bank", "MaskMade", "bank_info", "build_bank", "mask"]


class BankArguments(TypedDict, total=False):
    """Keyword arguments of ``build_bank``. Defaults are those of ``gramgan build-db``."""

    max_patches: int
    """Number of positions to sample; the bank has three versions of each patch."""
    patch_size: int
    """Side of a patch in pixels, 4 to 16."""
    seed: int
    """Seed; the same seed and photos give identical files."""
    workers: int
    """Number of photos read in parallel; one per CPU by default."""


BANK_LIMITS = {"max_patches": (1, None), "patch_size": (4, 16), "seed": (0, None), "workers": (1, None)}
"""Least and largest values of ``BankArguments``."""


def build_bank(
    hr_dir: AnyPath,
    out: AnyPath | None = None,
    *,
    valid_dir: AnyPath | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] = lambda _text: None,
    **arguments: Unpack[BankArguments],
) -> Bank:
    """Build a bank of texture patches from photos, for ``train``.

    Args:
        hr_dir: folder of HR photos, .txt file list, or name of a known dataset.
        out: file of the bank; by default ``bank.safetensors`` in the data folder, where ``train`` looks for it.
        valid_dir: validation photos of the training. By default, the photos that ``train`` would hold out are left out.
        overwrite: replace an existing bank.
        on_progress: called with (photos done, total).
        on_note: called with messages for the user.
        **arguments: ``BankArguments``.

    Returns:
        The bank, with its file and the origin of its patches (``provenance``).

    Raises:
        TargetExists: ``out`` exists.
        UsageError: a value is out of range.
        GramganError: photos are missing or can't be read.
    """
    check_known(arguments, BankArguments)
    for name, (least, most) in BANK_LIMITS.items():
        if name in arguments:
            check_number(name, arguments[name], least, most)  # type: ignore[literal-required]
    target = default_bank() if out is None else Path(out)
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", "Choose a file name, such as bank.safetensors.")
    check_target(target, overwrite)
    photos = find_bank_photos(fspath(hr_dir), None if valid_dir is None else fspath(valid_dir))
    sizes: BankArguments = {"workers": os.cpu_count() or 1, **arguments}
    bank = build(photos.source, target, held_out=photos.held_out, progress=on_progress, **sizes)
    if photos.held_out:
        on_note(f"Left out the photos that training is validated on: {len(photos.held_out)}.")
    if bank.provenance.positions < bank.provenance.max_patches:
        on_note(f"The photos have only {bank.provenance.positions} positions; all were taken.")
    return bank


def bank_info(file: AnyPath) -> Bank:
    """Open a bank, to read its file path and the origin of its patches (``provenance``).

    Raises:
        GramganError: the file does not exist or is not a bank.
    """
    return load_bank(Path(file))


def mask(
    source: AnyPath,
    output: AnyPath,
    *,
    mode: Mode = "grid",
    cell: int | None = None,
    delta: float | None = None,
    overlay: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[MaskMade]:
    """Write the masks of photos that the discriminator is trained with: white where there is texture.

    Args:
        source: picture, or folder of pictures.
        output: PNG file for a picture, folder for a folder.
        mode: ``grid`` (Gram-GAN's cells) or ``sliding`` (Beby-GAN's window around each pixel).
        cell: side of a cell or window in pixels; 11 by default.
        delta: standard deviation, of values in [0, 1], from which an area counts as textured; by default 0.005 for
            ``grid`` and 0.025 for ``sliding``.
        overlay: write the photo with its untextured areas covered instead.
        overwrite: replace existing files.
        on_progress: called with (pictures done, total).

    Returns:
        Mask file and share of textured area of each picture, or its ``error``.

    Raises:
        UsageError: a value is wrong, ``output`` can't be written, or ``cell`` is even with ``sliding``.
    """
    check_choice("mode", mode, get_args(Mode))
    pairs = plan_masks(Path(source), Path(output), overwrite)
    sides = {} if cell is None else {"cell": cell}
    return make_masks(pairs, mode=mode, delta=delta, overlay=overlay, progress=on_progress, **sides)
