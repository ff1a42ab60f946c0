"""Building a bank of texture patches from photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from gramgan_cli.core.data.holdout import shared_indices, split_held_out
from gramgan_cli.core.data.listing import find_photos
from gramgan_cli.core.data.shards import is_shards
from gramgan_cli.core.data.sources import locate_training, locate_validation
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.io.folders import data_dir
from gramgan_cli.core.texture.patchdb.bank import Bank, Photo, Provenance, save_bank
from gramgan_cli.core.texture.patchdb.cutting import PhotoPatches, cut_photo, upright_size
from gramgan_cli.core.texture.patchdb.sampling import Draw, draw_positions
from gramgan_cli.core.texture.patchdb.versions import ANGLE_DEGREES, SCALE, SHEAR_DEGREES, SHIFT_PIXELS, VERSIONS

MAGNITUDES = {"angle_degrees": ANGLE_DEGREES, "shear_degrees": SHEAR_DEGREES, "scale": SCALE, "shift_px": SHIFT_PIXELS}
LIBRARIES = ("gramgan-cli", "numpy", "pillow", "torch")


@dataclass(frozen=True)
class BankPhotos:
    """Photos for a bank."""

    source: Path
    """Folder or file list of photos."""
    held_out: tuple[Path, ...] = ()
    """Photos in ``source`` that validate the training; they are left out of the bank."""


def find_bank_photos(text: str, valid_dir: str | None = None) -> BankPhotos:
    """Locate the photos of ``build-db --hr-dir``, by the same rules as ``train --hr-dir``.

    Args:
        text: known dataset (its training half is used), folder or file list of photos.
        valid_dir: validation photos of the training; None if it holds out some of these photos.

    Raises:
        GramganError: nothing was found (the hint says how to get it), or ``text`` names tar shards.
    """
    folders = [data_dir()]
    found = locate_training(text, folders)
    if is_shards(found.location):
        raise UsageError(
            f"{text} names tar shards, but a bank is built from photos in folders.", "Unpack some of the shards first."
        )
    source, valid = Path(found.location), locate_validation(valid_dir, folders) if valid_dir else found.valid
    photos = find_photos(source)
    if not valid:
        return BankPhotos(source, tuple(split_held_out(photos)[1]))
    shared = tuple(photos[index] for index in shared_indices(photos, find_photos(Path(valid))))
    return BankPhotos(source, shared if len(shared) < len(photos) else ())


def _cut(
    paths: Sequence[Path],
    draw: Draw,
    patch_size: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> list[PhotoPatches]:
    """Cut the patches of all photos in ``workers`` threads, with torch limited to one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(cut_photo, path, corners, patch_size, normals)
                for path, corners, normals in zip(paths, draw.corners, draw.normals, strict=True)
            ]
            cut = []
            try:
                for done, job in enumerate(jobs, start=1):
                    cut.append(job.result())
                    if progress is not None:
                        progress(done, len(jobs))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        torch.set_num_threads(threads)
    return cut


def _name(path: Path, source: Path) -> str:
    """Name of a photo in the provenance: relative to the folder, or an absolute path for photos of a file list."""
    return path.relative_to(source).as_posix() if source in path.parents else str(path.resolve())


def build_bank(
    hr_dir: Path,
    out: Path,
    *,
    max_patches: int = 200_000,
    patch_size: int = 4,
    seed: int = 0,
    workers: int = 1,
    held_out: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Sample patch positions over all photos, cut each patch in three versions and write the bank.

    Args:
        hr_dir: folder of photos, searched recursively, or a file list of photos.
        out: file to write.
        max_patches: largest number of positions; the bank has three entries per position.
        patch_size: side of a patch in px, 4 to 16.
        seed: the same seed and photos give identical files, for any number of workers.
        workers: number of threads that decode and cut photos (both release Python's GIL).
        held_out: photos in ``hr_dir`` to leave out.
        progress: called with (photos done, total).
    """
    left_out = set(held_out)
    paths = [path for path in find_photos(hr_dir) if path not in left_out]
    sizes = [upright_size(path) for path in paths]
    draw = draw_positions(sizes, max_patches, patch_size, seed)
    cut = _cut(paths, draw, patch_size, workers, progress)
    corners = np.concatenate(
        [np.insert(corners, 0, number, axis=1) for number, corners in enumerate(draw.corners)]
    ).astype(np.int32)
    provenance = Provenance(
        hr_dir=str(hr_dir.resolve()),
        photos=[
            Photo(_name(path, hr_dir), photo.sha256, height, width, len(corners))
            for path, photo, (height, width), corners in zip(paths, cut, sizes, draw.corners, strict=True)
        ],
        seed=seed,
        max_patches=max_patches,
        positions=len(corners),
        patch_size=patch_size,
        versions=list(VERSIONS),
        affine=MAGNITUDES,
        libraries={name: version(name) for name in LIBRARIES},
    )
    return save_bank(
        out,
        provenance,
        patches=torch.cat([photo.patches for photo in cut], dim=1),
        corners=torch.from_numpy(corners),
        raw_grams=torch.cat([photo.raw_grams for photo in cut], dim=1),
        centered_grams=torch.cat([photo.centered_grams for photo in cut], dim=1),
    )
