"""Aligned random crops of LR and HR, with flips and quarter turns.

The batch of a step is a pure function of (seed, step), so a resumed run needs no sampler state, and several processes
take their share of the very batch that one process would see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramgan_cli.core.data.degradation import Degradation, degrade, degraded_crop, picture_draw
from gramgan_cli.core.data.prepared import PreparedPhoto
from gramgan_cli.core.data.reference_crops import reference_crop
from gramgan_cli.core.errors import GramganError


@dataclass(frozen=True)
class Batch:
    """One step's crops."""

    lr: Tensor
    """RGB in [0, 1], (B, 3, h, w)."""
    hr: Tensor
    """RGB in [0, 1], (B, 3, scale h, scale w)."""
    names: tuple[str, ...]
    """The photos that the crops come from."""
    ref: Tensor | None = None
    """References, RGB in [0, 1], (B, 3, scale h, scale w), for networks that take one."""

    def parts(self, count: int) -> list[Batch]:
        """The batch in ``count`` parts of equal size, as nearly as they go; a crop is not divided further."""
        count = min(count, len(self.lr))
        refs = self.ref.tensor_split(count) if self.ref is not None else [None] * count
        names = iter(self.names)
        return [
            Batch(lr, hr, tuple(next(names) for _ in range(len(lr))), ref)
            for lr, hr, ref in zip(self.lr.tensor_split(count), self.hr.tensor_split(count), refs, strict=True)
        ]


def turn(image: NDArray[np.uint8], which: int) -> NDArray[np.uint8]:
    """One of the eight symmetries of the square, 0..7: bit 0 flips rows, bit 1 flips columns, bit 2 transposes."""
    if which & 1:
        image = image[::-1]
    if which & 2:
        image = image[:, ::-1]
    if which & 4:
        image = image.transpose(1, 0, 2)
    return image


def to_tensor(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """8-bit (H, W, 3) pictures of one size -> float RGB in [0, 1], (B, 3, H, W), channels last in memory.

    Divided by NumPy: torch would start threads for the thread that makes batches, which then wait, spinning, on the
    cores that the step needs.
    """
    values = np.stack(images).astype(np.float32)
    values /= 255
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def _smallest_side(photo: PreparedPhoto, scale: int) -> int:
    """The shortest side, in HR pixels, of a photo and of its reference."""
    sides: list[int] = [side * scale for side in photo.lr.shape[:2]]
    return min(sides if photo.ref is None else sides + list(photo.ref.shape[:2]))


def middle_crop(photo: PreparedPhoto, scale: int, hr_crop: int, seed: int) -> PreparedPhoto:
    """The middle of a photo, ``hr_crop`` a side, with its reference: what networks with references are validated on.

    Matching a whole photo with a whole reference would cost minutes on a CPU.
    """
    sampler = CropSampler([photo], scale, hr_crop, 1, seed, with_references=True)
    top, left = ((side - sampler.lr_crop) // 2 for side in photo.lr.shape[:2])
    rows, columns = slice(top, top + sampler.lr_crop), slice(left, left + sampler.lr_crop)
    hr = photo.hr[top * scale : (top + sampler.lr_crop) * scale, left * scale : (left + sampler.lr_crop) * scale]
    reference = sampler.reference(photo, top, left, np.random.default_rng([seed, 0]))
    return PreparedPhoto(photo.name, photo.lr[rows, columns], hr, reference)


def degraded_photo(photo: PreparedPhoto, scale: int, degradation: Degradation, seed: int) -> PreparedPhoto:
    """A photo with its LR degraded, always in the same way for one seed and name: what robustness is validated on."""
    return replace(photo, lr=degrade(photo.hr, scale, degradation, picture_draw(photo.name, seed)))


class CropSampler:
    """Draws the batch of any step.

    Args:
        photos: prepared photos; those smaller than the crop are left out (none left is an error).
        scale: HR side over LR side.
        hr_crop: HR side of the crops, a multiple of ``scale``.
        batch_size: crops of a step, over all processes.
        seed: of the run.
        share: (rank, processes): which part of each batch this process takes.
        with_references: give each crop a reference: the part of the photo's own reference at the same relative place,
            or, where the photo has none, a second crop of the photo itself, shifted, scaled and relit.
        degradation: make the LR of a share of the crops as real photos are; None reduces all plainly.
    """

    def __init__(
        self,
        photos: Sequence[PreparedPhoto],
        scale: int,
        hr_crop: int,
        batch_size: int,
        seed: int,
        share: tuple[int, int] = (0, 1),
        with_references: bool = False,
        degradation: Degradation | None = None,
    ) -> None:
        if hr_crop % scale:
            raise GramganError(f"The HR crop ({hr_crop}) must be a multiple of the scale ({scale}).", "Set --hr-crop.")
        if batch_size % share[1]:
            raise GramganError(f"The batch of {batch_size} can't be split over {share[1]} processes.")
        self.scale, self.lr_crop, self.batch_size, self.seed = scale, hr_crop // scale, batch_size, seed
        self.rank, self.processes = share
        self.with_references, self.degradation = with_references, degradation
        self.photos = [photo for photo in photos if _smallest_side(photo, scale) >= hr_crop]
        if not self.photos:
            raise GramganError(
                f"None of the {len(photos)} photos has {hr_crop} pixels on both sides.", "Set --hr-crop."
            )
        area = np.array([photo.lr.shape[0] * photo.lr.shape[1] for photo in self.photos], dtype=np.float64)
        self.cumulative = np.cumsum(area / area.sum())

    def batch(self, step: int) -> Batch:
        """This process's crops of ``step``: photos by area, positions, flips and turns uniform."""
        draw = np.random.default_rng([self.seed, step]).random((self.batch_size, 4))
        mine = draw.reshape(-1, self.processes, 4)[:, self.rank]
        lr: list[NDArray[np.uint8]] = []
        hr: list[NDArray[np.uint8]] = []
        ref: list[NDArray[np.uint8]] = []
        names: list[str] = []
        for number, (photo_at, top_at, left_at, turn_at) in enumerate(mine):
            photo = self.photos[min(int(np.searchsorted(self.cumulative, photo_at, "right")), len(self.photos) - 1)]
            height, width = photo.lr.shape[:2]
            top, left = int(top_at * (height - self.lr_crop + 1)), int(left_at * (width - self.lr_crop + 1))
            which, place = int(turn_at * 8), number * self.processes + self.rank
            lr.append(turn(self._lr(photo, top, left, np.random.default_rng([self.seed, step, place, 1])), which))
            side = self.lr_crop * self.scale
            hr.append(turn(photo.hr[top * self.scale :, left * self.scale :][:side, :side], which))
            if self.with_references:
                reference = self.reference(photo, top, left, np.random.default_rng([self.seed, step, place]))
                ref.append(turn(reference, which))
            names.append(photo.name)
        return Batch(to_tensor(lr), to_tensor(hr), tuple(names), to_tensor(ref) if ref else None)

    def _lr(self, photo: PreparedPhoto, top: int, left: int, draw: np.random.Generator) -> NDArray[np.uint8]:
        """The LR crop at (top, left): of the whole photo's plain reduction, or degraded."""
        side = self.lr_crop
        if self.degradation is None or draw.random() >= self.degradation.share:
            return photo.lr[top : top + side, left : left + side]
        return degraded_crop(photo.hr, top, left, side, self.scale, self.degradation, draw)

    def reference(self, photo: PreparedPhoto, top: int, left: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """The reference of the crop at LR (top, left): (hr_crop, hr_crop, 3)."""
        side = self.lr_crop * self.scale
        if photo.ref is None:
            return reference_crop(photo.hr, top * self.scale, left * self.scale, side, generator)
        height, width = photo.ref.shape[:2]
        row = round(top / max(1, photo.lr.shape[0] - self.lr_crop) * (height - side))
        column = round(left / max(1, photo.lr.shape[1] - self.lr_crop) * (width - side))
        return photo.ref[row : row + side, column : column + side]

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps ``first`` to ``last`` - 1, each made by a thread while the one before is used."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.batch, first)
            for step in range(first, last):
                batch = waiting.result()
                if step + 1 < last:
                    waiting = pool.submit(self.batch, step + 1)
                yield batch
