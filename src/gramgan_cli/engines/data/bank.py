"""Building the bank of texture patches from a folder of photos."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from gramgan_cli.core.data.datasets import NAMES, find_dataset
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.io.folders import data_dir
from gramgan_cli.core.texture.patchdb.bank import Bank, Photo, Provenance, save_bank
from gramgan_cli.core.texture.patchdb.cutting import cut_photo, upright_size
from gramgan_cli.core.texture.patchdb.sampling import draw_places
from gramgan_cli.core.texture.patchdb.versions import ANGLE_DEGREES, SCALE, SHEAR_DEGREES, SHIFT_PIXELS, VERSIONS

MAGNITUDES = {"angle_degrees": ANGLE_DEGREES, "shear_degrees": SHEAR_DEGREES, "scale": SCALE, "shift_px": SHIFT_PIXELS}
LIBRARIES = ("gramgan-cli", "numpy", "pillow", "torch")


def find_photos(text: str) -> Path:
    """The folder that a person means by ``--hr-dir``: a known dataset in the data folder, else a folder.

    Of a set that has training photos, those are meant. A name that is not there is an error that says how to get it.
    """
    name = {known.casefold(): known for known in NAMES}.get(text.casefold())
    if name is None and Path(text).is_dir():
        return Path(text)
    training = data_dir() / (name or text) / f"{name}_train_HR"
    if training.is_dir():
        return training
    return find_dataset(text, [data_dir()], scale=4).pairs[0].hr.parent


def build_bank(
    hr_dir: Path,
    out: Path,
    *,
    max_patches: int = 200_000,
    patch_size: int = 4,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Sample places over all photos of ``hr_dir``, cut each in three versions, write the bank to ``out``.

    Args:
        hr_dir: folder of photos.
        out: file to write.
        max_patches: places at most; the bank holds three entries for each.
        patch_size: side of a patch, 4 to 16.
        seed: equal seeds and photos give equal bytes, whatever the number of workers.
        workers: photos that are decoded and cut at once, in threads (decoding and cutting release Python's lock).
        progress: told (photos done, photos in all).
    """
    paths = list_pictures(hr_dir)
    sizes = [upright_size(path) for path in paths]
    draw = draw_places(sizes, max_patches, patch_size, seed)
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
    corners = np.concatenate(
        [np.insert(places, 0, number, axis=1) for number, places in enumerate(draw.corners)]
    ).astype(np.int32)
    provenance = Provenance(
        hr_dir=str(hr_dir.resolve()),
        photos=[
            Photo(path.name, photo.sha256, height, width, len(places))
            for path, photo, (height, width), places in zip(paths, cut, sizes, draw.corners, strict=True)
        ],
        seed=seed,
        max_patches=max_patches,
        places=len(corners),
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
