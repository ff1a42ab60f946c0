"""Banks of texture patches for training, and masks of textured area."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import fspath
from pathlib import Path
from typing import TypedDict, Unpack

from gramgan_cli.api.arguments import AnyPath, check_known
from gramgan_cli.core.errors import TargetExists, UsageError
from gramgan_cli.core.texture.masks import Mode
from gramgan_cli.core.texture.patchdb.bank import Bank, default_bank, load_bank
from gramgan_cli.engines.data.bank import build_bank as build
from gramgan_cli.engines.data.bank import find_bank_photos
from gramgan_cli.engines.data.mask import MaskMade, make_masks, plan_masks

__all__ = ["Bank", "MaskMade", "bank_info", "build_bank", "mask"]


class BankArguments(TypedDict, total=False):
    """How a bank is built. Every default is that of ``gramgan build-db``."""

    max_patches: int
    """Positions to sample; the bank holds three versions of each."""
    patch_size: int
    """Side of a patch in pixels, 4 to 16."""
    seed: int
    """The same seed and photos give an identical file."""
    workers: int
    """Photos read at the same time; one per CPU by default."""


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
    """Sample a bank of real texture patches from photos, for ``train``.

    Args:
        hr_dir: folder of sharp photos, a .txt list of them, or a known dataset's name.
        out: the bank's file; ``bank.safetensors`` in the data folder by default, where ``train`` looks for it.
        valid_dir: photos that training will measure on. Without it, those that ``train`` holds out are left out.
        overwrite: replace a bank that exists.
        on_progress: called with the photos that are done, and all photos.
        on_note: called with a sentence that the user should know.
        **arguments: ``BankArguments``.

    Returns:
        The bank: its file, and where its patches come from (``provenance``).

    Raises:
        TargetExists: ``out`` exists.
        GramganError: photos that are missing or can't be read.
    """
    check_known(arguments, BankArguments)
    target = default_bank() if out is None else Path(out)
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", "Name a file, such as bank.safetensors.")
    if target.exists() and not overwrite:
        raise TargetExists(f"{target} exists already.")
    photos = find_bank_photos(fspath(hr_dir), None if valid_dir is None else fspath(valid_dir))
    sizes: BankArguments = {"workers": os.cpu_count() or 1, **arguments}
    bank = build(photos.source, target, held_out=photos.held_out, progress=on_progress, **sizes)
    if photos.held_out:
        on_note(f"{len(photos.held_out)} photos that training measures on were left out.")
    if bank.provenance.places < bank.provenance.max_patches:
        on_note(f"The photos have only {bank.provenance.places} positions; all were taken.")
    return bank


def bank_info(file: AnyPath) -> Bank:
    """A bank that exists: its file, and where its patches come from (``provenance``).

    Raises:
        GramganError: the file is not there, or is no bank.
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
    """Write which parts of photos the discriminator sees in training: white where there is texture.

    Args:
        source: a picture, or a folder of pictures.
        output: a PNG file for one picture, a folder for a folder.
        mode: ``grid``, GramGAN's aligned cells, or ``sliding``, Beby-GAN's window around each pixel.
        cell: side of a cell, or of the window, in pixels; 11 by default.
        delta: standard deviation, on the 0 to 1 scale, from which area counts as textured; by default 0.005 for
            ``grid`` and 0.025 for ``sliding``.
        overlay: write the photo with its untextured area covered.
        overwrite: replace files that exist.
        on_progress: called with the pictures that are done, and all pictures.

    Returns:
        Each picture's mask and share of textured area, or its ``error``.

    Raises:
        UsageError: files that can't be written as named, or an even side for ``sliding``.
    """
    pairs = plan_masks(Path(source), Path(output), overwrite)
    sides = {} if cell is None else {"cell": cell}
    return make_masks(pairs, mode=mode, delta=delta, overlay=overlay, progress=on_progress, **sides)
