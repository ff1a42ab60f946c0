"""Aligned random crops of LR and HR, with flips and rotations by 90 degrees.

The batch of a step is a pure function of (seed, step). A resumed run therefore needs no sampler state, and several
processes take their shares of the same batch that one process would use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gramgan_cli.core.data.damage.strength import Degradation
from gramgan_cli.core.data.degradation import degrade, degraded_crop, picture_draw
from gramgan_cli.core.data.prepared import PreparedPhoto
from gramgan_cli.core.data.reference_crops import reference_crop
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.samples import WHITE
from gramgan_cli.core.resize.matlab import Levels, make_lr


@dataclass(frozen=True)
class Batch:
    """The crops of one step."""

    lr: Tensor
    """RGB or grey in [0, 1], (B, C, h, w)."""
    hr: Tensor
    """The same, (B, C, scale h, scale w)."""
    names: tuple[str, ...]
    """Names of the photos that the crops come from."""
    ref: Tensor | None = None
    """Reference crops, RGB in [0, 1], (B, 3, scale h, scale w), for networks that take one."""

    def parts(self, count: int) -> list[Batch]:
        """Split the batch into at most ``count`` parts of nearly equal size."""
        count = min(count, len(self.lr))
        refs = self.ref.tensor_split(count) if self.ref is not None else [None] * count
        names = iter(self.names)
        return [
            Batch(lr, hr, tuple(next(names) for _ in range(len(lr))), ref)
            for lr, hr, ref in zip(self.lr.tensor_split(count), self.hr.tensor_split(count), refs, strict=True)
        ]


def turn(image: Levels, which: int) -> Levels:
    """Apply one of the eight symmetries of the square, 0..7: bit 0 flips rows, bit 1 columns, bit 2 transposes."""
    if which & 1:
        image = image[::-1]
    if which & 2:
        image = image[:, ::-1]
    if which & 4:
        image = image.transpose(1, 0, 2)
    return image


def to_tensor(images: Sequence[Levels]) -> Tensor:
    """Convert images (H, W, C) of one size, 8 or 16 bits, to float in [0, 1], (B, C, H, W), channels last in memory.

    NumPy does the division, because torch would start threads for the thread that prepares batches. Those then
    busy-wait on the cores that the training step needs.
    """
    levels = np.stack(images)
    values = levels.astype(np.float32)
    values /= WHITE[levels.dtype]
    return torch.from_numpy(values).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Augmentation:
    """Random augmentation of crops."""

    flips: Literal["turns", "horizontal", "none"] = "turns"
    """All flips and rotations by 90 degrees, left-right flips only, or none."""
    rotation: float = 0.0
    """Largest random rotation of HR in degrees, either way, before LR is made. Rotation interpolates, so it makes HR
    softer than photos are."""

    def symmetry(self, draw: float) -> int:
        """Return the argument of ``turn`` for a number drawn uniformly from [0, 1)."""
        if self.flips == "none":
            return 0
        return int(draw * 8) if self.flips == "turns" else 2 * int(draw * 2)


def rotated_pair(hr: Levels, top: int, left: int, side: int, scale: int, degrees: float) -> tuple[Levels, Levels]:
    """Return LR and HR of a crop rotated about its centre: HR by bicubic interpolation, LR from it by MATLAB's.

    Args:
        hr: (H, W, C).
        top, left, side: the crop in HR pixels. Its rotated corners show the surrounding photo, as far as it extends.
        scale: HR side over LR side.
        degrees: counterclockwise.

    Returns:
        (side / scale, side / scale, C) and (side, side, C).
    """
    around = scale * (int(np.ceil(side * (np.sqrt(2) - 1) / 2 / scale)) + 1)
    rows = np.clip(np.arange(top - around, top + side + around), 0, hr.shape[0] - 1)
    columns = np.clip(np.arange(left - around, left + side + around), 0, hr.shape[1] - 1)
    turned = _rotated(np.ascontiguousarray(hr[rows][:, columns]), degrees)
    start, length = around // scale, side // scale
    lr = make_lr(turned, scale)[start : start + length, start : start + length]
    return lr, turned[around : around + side, around : around + side]


def _rotated(window: Levels, degrees: float) -> Levels:
    """Rotate an image about its centre by Pillow's bicubic; 16-bit grey is rotated as floats."""
    if window.dtype == np.uint8:
        return np.asarray(Image.fromarray(window).rotate(degrees, Image.Resampling.BICUBIC))
    exact = Image.fromarray(window[:, :, 0].astype(np.float32)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.clip(np.floor(np.asarray(exact)[:, :, None] + 0.5), 0, 65535).astype(np.uint16)


def _smallest_side(photo: PreparedPhoto, scale: int) -> int:
    """Return the shortest side of a photo and its reference, in HR pixels."""
    sides: list[int] = [side * scale for side in photo.lr.shape[:2]]
    return min(sides if photo.ref is None else sides + list(photo.ref.shape[:2]))


def middle_of(photo: PreparedPhoto, scale: int, hr_crop: int) -> PreparedPhoto:
    """Return the central crop of a photo, ``hr_crop`` HR pixels a side."""
    side = hr_crop // scale
    top, left = _middle(photo, side)
    hr = photo.hr[top * scale : (top + side) * scale, left * scale : (left + side) * scale]
    return replace(photo, lr=photo.lr[top : top + side, left : left + side], hr=hr)


def _middle(photo: PreparedPhoto, side: int) -> tuple[int, int]:
    """Return top and left of the central crop of ``side`` LR pixels."""
    height, width = photo.lr.shape[:2]
    return (height - side) // 2, (width - side) // 2


def middle_crop(photo: PreparedPhoto, scale: int, hr_crop: int, seed: int) -> PreparedPhoto:
    """Return the central crop of a photo with its reference, for validating networks that take references.

    Matching a whole photo with a whole reference would take minutes on a CPU.
    """
    sampler = CropSampler([photo], scale, hr_crop, 1, seed, options=CropOptions(with_references=True))
    top, left = _middle(photo, sampler.lr_crop)
    reference = sampler.reference(photo, top, left, np.random.default_rng([seed, 0]))
    return replace(middle_of(photo, scale, hr_crop), ref=reference)


def degraded_photo(photo: PreparedPhoto, scale: int, degradation: Degradation, seed: int) -> PreparedPhoto:
    """Return a photo with degraded LR, for robustness validation. It depends only on the seed and the photo's name.

    If LR was given, it is degraded itself, at its own size.
    """
    source, factor = (photo.lr, 1) if photo.given else (photo.hr, scale)
    lr = degrade(np.ascontiguousarray(_rgb(source)), factor, degradation, picture_draw(photo.name, seed))
    return replace(photo, lr=lr)


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """Options of the crop sampler."""

    with_references: bool = False
    """Whether crops have references: the part of the photo's reference at the same relative position or, if it has
    none, a second crop of the photo itself, shifted, scaled and with changed exposure."""
    degradation: Degradation | None = None
    """Degrades the LR of a fraction of the crops like real photos; None uses plain bicubic reduction."""
    augmentation: Augmentation = field(default_factory=Augmentation)


def _rgb(levels: Levels) -> NDArray[np.uint8]:
    """Return the image as 8-bit RGB. Recipes that degrade or use references accept no other images."""
    return levels.astype(np.uint8, copy=False)


def area_of(photo: PreparedPhoto) -> float:
    """Return the number of LR pixels of a photo."""
    return float(photo.lr.shape[0] * photo.lr.shape[1])


class PhotosTooSmall(GramganError):
    """No photo is as large as the crops."""


class CropSampler:
    """Draws the batch of any step.

    Args:
        photos: prepared photos; those smaller than the crop are skipped. Raises if none is left.
        scale: HR side over LR side.
        hr_crop: HR side of the crops, a multiple of ``scale``.
        batch_size: crops per step, over all processes.
        seed: seed of the run.
        share: (rank, number of processes): the part of each batch that this process takes.
        options: references, degradation, augmentation.
        shares: relative frequency of each photo, in any unit; None is by area.
    """

    def __init__(
        self,
        photos: Sequence[PreparedPhoto],
        scale: int,
        hr_crop: int,
        batch_size: int,
        seed: int,
        share: tuple[int, int] = (0, 1),
        options: CropOptions | None = None,
        shares: Sequence[float] | None = None,
    ) -> None:
        if hr_crop % scale:
            raise GramganError(
                f"The HR crop ({hr_crop}) must be a multiple of the scale ({scale}).", "Set `data.hr_crop`."
            )
        if batch_size % share[1]:
            raise GramganError(f"A batch of {batch_size} can't be split evenly over {share[1]} processes.")
        self.scale, self.lr_crop, self.batch_size, self.seed = scale, hr_crop // scale, batch_size, seed
        self.rank, self.processes = share
        self.options = options or CropOptions()
        large = [index for index, photo in enumerate(photos) if _smallest_side(photo, scale) >= hr_crop]
        self.photos = [photos[index] for index in large]
        if not self.photos:
            largest = max((_smallest_side(photo, scale) for photo in photos), default=0) // scale * scale
            raise PhotosTooSmall(
                f"No photo of {len(photos)} has {hr_crop} pixels on both sides.",
                f"Use larger photos, or set `data.hr_crop` to at most {largest}.",
            )
        given = [area_of(photo) for photo in photos] if shares is None else shares
        chosen = np.array([given[index] for index in large], dtype=np.float64)
        self.cumulative = np.cumsum(chosen / chosen.sum())

    def batch(self, step: int) -> Batch:
        """Return this process's crops of ``step``: photos by frequency; positions and symmetries uniformly."""
        draw = np.random.default_rng([self.seed, step]).random((self.batch_size, 4))
        mine = draw.reshape(-1, self.processes, 4)[:, self.rank]
        lr: list[Levels] = []
        hr: list[Levels] = []
        ref: list[Levels] = []
        names: list[str] = []
        for number, (photo_at, top_at, left_at, turn_at) in enumerate(mine):
            photo = self.photos[min(int(np.searchsorted(self.cumulative, photo_at, "right")), len(self.photos) - 1)]
            height, width = photo.lr.shape[:2]
            top, left = int(top_at * (height - self.lr_crop + 1)), int(left_at * (width - self.lr_crop + 1))
            which, index = self.options.augmentation.symmetry(turn_at), number * self.processes + self.rank
            lr_crop, hr_crop = self._pair(photo, top, left, (step, index))
            lr.append(turn(lr_crop, which))
            hr.append(turn(hr_crop, which))
            if self.options.with_references:
                reference = self.reference(photo, top, left, np.random.default_rng([self.seed, step, index]))
                ref.append(turn(reference, which))
            names.append(photo.name)
        return Batch(to_tensor(lr), to_tensor(hr), tuple(names), to_tensor(ref) if ref else None)

    def _pair(self, photo: PreparedPhoto, top: int, left: int, draw_key: tuple[int, int]) -> tuple[Levels, Levels]:
        """Return LR and HR of the crop at LR position (top, left), rotated or degraded according to the options.

        ``draw_key`` is (step, index in the batch), which seeds the random numbers.
        """
        side = self.lr_crop * self.scale
        rotation = self.options.augmentation.rotation
        if rotation and not photo.given:
            degrees = np.random.default_rng([self.seed, *draw_key, 2]).uniform(-rotation, rotation)
            return rotated_pair(photo.hr, top * self.scale, left * self.scale, side, self.scale, degrees)
        hr = photo.hr[top * self.scale :, left * self.scale :][:side, :side]
        return self._lr(photo, top, left, np.random.default_rng([self.seed, *draw_key, 1])), hr

    def _lr(self, photo: PreparedPhoto, top: int, left: int, draw: np.random.Generator) -> Levels:
        """Return the LR crop at (top, left), from the whole photo's LR or degraded."""
        side, degradation = self.lr_crop, self.options.degradation
        if degradation is None or draw.random() >= degradation.share:
            return photo.lr[top : top + side, left : left + side]
        source, factor = (photo.lr, 1) if photo.given else (photo.hr, self.scale)
        return degraded_crop(_rgb(source), top, left, side, factor, degradation, draw)

    def reference(self, photo: PreparedPhoto, top: int, left: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Return the reference of the crop at LR position (top, left): (hr_crop, hr_crop, 3)."""
        side = self.lr_crop * self.scale
        if photo.ref is None:
            return reference_crop(_rgb(photo.hr), top * self.scale, left * self.scale, side, generator)
        height, width = photo.ref.shape[:2]
        row = round(top / max(1, photo.lr.shape[0] - self.lr_crop) * (height - side))
        column = round(left / max(1, photo.lr.shape[1] - self.lr_crop) * (width - side))
        return photo.ref[row : row + side, column : column + side]

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps ``first`` to ``last`` - 1; a thread prepares the next one in the background."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.batch, first)
            for step in range(first, last):
                batch = waiting.result()
                if step + 1 < last:
                    waiting = pool.submit(self.batch, step + 1)
                yield batch
