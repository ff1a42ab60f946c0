"""Upscaling arrays with a model or an interpolation, behind one interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol
from weakref import ReferenceType, ref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.backends.allocator import keep_freed_memory
from gramgan_cli.core.jpeg.detect import Compression, detect_compression
from gramgan_cli.core.jpeg.smoothing import smooth_blocks, smooth_part
from gramgan_cli.core.metrics.damage import AUTOMATIC, automatic_denoise, estimate_damage
from gramgan_cli.core.resize import baselines
from gramgan_cli.core.resize.baselines import interpolated
from gramgan_cli.core.tiling.inference import Precision, TileRunner, workspace_per_pixel
from gramgan_cli.core.tiling.tiles import Tiling, upscaled_bands
from gramgan_cli.engines.upscale.options import PrecisionChoice, TileChoice

Array = NDArray[Any]

PRACTICAL_HALO = 64
"""Largest halo in pixels. Networks with a larger receptive radius (RRDBNet-23: 349) are tiled approximately."""

MEBI = 2**20

LARGEST_TILE = {"cpu": 256, "other": 1024}
"""Largest tile sides in pixels. Beyond these, cache misses and coarse progress cost more than the halo saves."""


class Model(Protocol):
    """The part of ``core.weights.load.LoadedModel`` that the upscaler needs."""

    @property
    def network(self) -> nn.Module:
        """Network from RGB in [0, 1] to RGB in [0, 1]."""

    @property
    def descriptor(self) -> Descriptor:
        """Scale, size requirements and receptive radius of the network."""


def memory_budget(device: torch.device) -> int:
    """Default memory budget of a tile on ``device``, in bytes."""
    if device.type == "cuda":
        return int(0.6 * torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(0.5 * torch.mps.recommended_max_memory())
    # Enough for RRDBNet's largest tile. With less, its halo of 64 pixels would cost many times the tile itself.
    return 2560 * MEBI


def automatic_tile(network: nn.Module, descriptor: Descriptor, device: torch.device, halo: int, budget: int) -> int:
    """Largest tile side whose window (tile and halo) takes at most ``budget`` bytes; a multiple of 16, at least 16."""
    window = math.isqrt(budget // workspace_per_pixel(network, descriptor))
    largest = LARGEST_TILE["cpu" if device.type == "cpu" else "other"]
    return max(16, min(window - 2 * halo, largest) // 16 * 16)


class Upscaler:
    """Upscales arrays with a model on a device.

    Args:
        model: network and descriptor; the network is moved to ``device``.
        device: from ``core.backends.device.pick_device``.
        tile: tile side in input pixels; 0 is the whole image, 'auto' fits the memory.
        precision: 'fp32'; 'fp16' / 'bf16' under autocast; 'auto' is fp16 for 8-bit images on CUDA, else fp32.
        tta: average over the eight flips and rotations; eight times slower, slightly better.
        seamless: treat the image as periodic, for textures that are tiled side by side.
        max_memory: memory of a tile in bytes; by default ``memory_budget(device)``.
        converted: network to run on the CPU instead of the model's, with its own precision.
        restoration: cleans the image before the network runs; None leaves it as it is.

    Attributes:
        on_note: called with messages for the user, e.g. when a smaller tile is used.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        tile: TileChoice = "auto",
        precision: PrecisionChoice = "fp32",
        tta: bool = False,
        seamless: bool = False,
        max_memory: int | None = None,
        converted: nn.Module | None = None,
        restoration: Restoration | None = None,
    ) -> None:
        self.scale = model.descriptor.scale
        self.on_note: Callable[[str], None] = lambda _text: None
        self.device = device
        self._precision: PrecisionChoice = "fp32" if converted else precision
        self._dtypes = model.descriptor.dtypes
        self._restoration = restoration
        network = converted or model.network
        if device.type == "cpu":
            keep_freed_memory()
        self._run = TileRunner(network, model.descriptor, device, "fp32", tta, lambda text: self.on_note(text))
        halo = min(model.descriptor.receptive_radius, PRACTICAL_HALO)
        if tile == "auto":
            budget = max_memory or memory_budget(device)
            tile = automatic_tile(model.network, model.descriptor, device, halo, budget)
        self.tiling = Tiling(tile, halo, model.descriptor.multiple_of, wrap=seamless)

    @property
    def tile(self) -> int:
        """Tile side in use, 0 for the whole image."""
        return self.tiling.tile

    def bands(self, image: Array) -> Iterator[Array]:
        """Upscale (H, W, C) uint8, uint16 or float32; yield bands of (scale H, scale W, C), from top to bottom."""
        if self._restoration is None:
            return self.network_bands(image)
        cleaning = self._restoration.begin(image, self.on_note)
        return self.network_bands(cleaning.image, cleaning.clean_until)

    def prepared_part(self, image: Array, rows: slice, columns: slice) -> Array:
        """Return a rectangle, to within one level, of what the network gets for ``image``.

        The image of the previous call is not examined again, so it must not change.
        """
        if self._restoration is None:
            return image[rows, columns]
        return self._restoration.restored_part(image, rows, columns, self.on_note)

    @property
    def smooths(self) -> bool:
        """Whether blocks of JPEG are smoothed before the network runs."""
        return self._restoration is not None and self._restoration.smooths

    def network_bands(self, image: Array, before_rows: Callable[[int], None] = lambda _rows: None) -> Iterator[Array]:
        """Run the network alone and yield bands as ``bands`` does; ``before_rows`` as in ``upscaled_bands``."""

        def smaller(tile: int) -> None:
            self.on_note(f"Out of memory: continuing with tiles of {tile} pixels.")
            self.tiling = replace(self.tiling, tile=tile)  # for the pictures that follow, too

        self._run.precision = self._precision_for(image)
        return upscaled_bands(image, self.scale, self.tiling, self._run, smaller, before_rows)

    def _precision_for(self, image: Array) -> Precision:
        """Resolve 'auto': fp16's 11 bits suffice for 8-bit pictures, but it is slow on CPUs."""
        if self._precision != "auto":
            return self._precision
        return "fp16" if self.device.type == "cuda" and image.dtype == np.uint8 and "fp16" in self._dtypes else "fp32"

    def upscale(self, image: Array) -> Array:
        """Upscale (H, W, C) with C = 1, 2, 3 or 4 (grey, grey + alpha, RGB, RGB + alpha) to (scale H, scale W, C).

        The dtype is kept; integers are rounded half up. Raises GramganError if memory runs out or values aren't finite.
        """
        return np.concatenate(list(self.bands(image)), axis=0)


class Restoration:
    """Cleans photos: smooths JPEG's blocks, then mixes the photo with what a network of scale 1 makes of it.

    Alpha is kept. Images that are continued periodically (``seamless``) are not smoothed.

    Args:
        cleaner: runs the network.
        strength: share of the damage to remove, above 0 to 1.
    """

    def __init__(self, cleaner: Upscaler, strength: float) -> None:
        self._cleaner = cleaner
        self._strength = strength
        self._examined: tuple[ReferenceType[Array], Compression | None] | None = None

    @property
    def smooths(self) -> bool:
        """Whether blocks of JPEG are smoothed."""
        return not self._cleaner.tiling.wrap

    def begin(self, image: Array, on_note: Callable[[str], None] = lambda _text: None) -> Cleaning:
        """Prepare to clean (H, W, C), C = 1 to 4, of any pixel type that ``Upscaler`` takes; ``on_note`` as there."""
        compression = self._compression(image)
        smoothed = image if compression is None else smooth_blocks(image, compression, self._strength)
        return self._cleaning(smoothed, on_note)

    def restored_part(
        self, image: Array, rows: slice, columns: slice, on_note: Callable[[str], None] = lambda _text: None
    ) -> Array:
        """Return a rectangle of the cleaned image, to within one level; arguments as for ``begin``.

        The image of the previous call is not examined again, so it must not change.
        """
        wide, broad = self._aligned(rows), self._aligned(columns)
        cleaning = self._cleaning(self._smoothed_part(image, wide, broad), on_note)
        cleaning.clean_until(cleaning.image.shape[0])
        return cleaning.image[rows.start - wide.start :, columns.start - broad.start :][
            : rows.stop - rows.start, : columns.stop - columns.start
        ]

    def _cleaning(self, smoothed: Array, on_note: Callable[[str], None]) -> Cleaning:
        self._cleaner.on_note = on_note
        return Cleaning(smoothed, self._cleaner, np.float32(self._strength))

    def _smoothed_part(self, image: Array, rows: slice, columns: slice) -> Array:
        if self._examined is None or self._examined[0]() is not image:
            self._examined = ref(image), self._compression(image)
        compression = self._examined[1]
        if compression is None:
            return image[rows, columns]
        return smooth_part(image, rows, columns, compression, self._strength)

    def _compression(self, image: Array) -> Compression | None:
        """JPEG's quantisation of an image whose blocks are to be smoothed; otherwise None."""
        smoothed = self.smooths and image.dtype == np.uint8 and image.shape[2] == 3
        return detect_compression(image) if smoothed else None

    def _aligned(self, span: slice) -> slice:
        """Widen a range of rows or columns by the halo of the tiles; the start stays a multiple of the grid's size."""
        halo, multiple = self._cleaner.tiling.halo, self._cleaner.tiling.multiple_of
        return slice(max(0, span.start - halo) // multiple * multiple, span.stop + halo)


class Cleaning:
    """One photo that is cleaned from top to bottom, so that enlarging begins, and progress shows, before the end.

    Args:
        image: the photo, which is not changed.
        cleaner, strength: as in ``Restoration``.

    Attributes:
        image: the result, cleaned as far as ``clean_until`` was called for.
    """

    def __init__(self, image: Array, cleaner: Upscaler, strength: np.float32) -> None:
        self.image = image.copy()
        self._colours = np.ascontiguousarray(image[:, :, :-1]) if image.shape[2] in (2, 4) else image
        self._bands = cleaner.bands(self._colours)
        self._strength = strength
        self._cleaned = 0

    def clean_until(self, rows: int) -> None:
        """Clean at least the first ``rows`` rows."""
        while self._cleaned < rows:
            band = next(self._bands)
            part = slice(self._cleaned, self._cleaned + band.shape[0])
            self.image[part, :, : self._colours.shape[2]] = self._mixed(self._colours[part], band)
            self._cleaned = part.stop

    def _mixed(self, image: Array, cleaned: Array) -> Array:
        if self._strength == 1:
            return cleaned
        mixed: Array = image + self._strength * (cleaned.astype(np.float32) - image)
        return mixed if image.dtype == np.float32 else (mixed + 0.5).astype(image.dtype)


class Interpolator:
    """An interpolation with the interface of ``Upscaler``, tiled to bound its memory."""

    smooths = False

    def __init__(self, name: str, tile: TileChoice = "auto", seamless: bool = False) -> None:
        self.scale = baselines.SCALE
        self.device = torch.device("cpu")
        self.on_note: Callable[[str], None] = lambda _text: None
        self.tiling = Tiling(512 if tile == "auto" else tile, baselines.REACH, wrap=seamless)
        self._name = name

    @property
    def tile(self) -> int:
        """Tile side in use, 0 for the whole image."""
        return self.tiling.tile

    def bands(self, image: Array) -> Iterator[Array]:
        """Upscale (H, W, C) uint8, uint16 or float32; yield bands of rows of (4 H, 4 W, C), from top to bottom."""
        return upscaled_bands(image, self.scale, self.tiling, lambda window: interpolated(window, self._name))


class AutomaticUpscaler:
    """Upscales each image with the network whose denoise amount is estimated from the image.

    Args:
        networks: upscaler for each denoise amount of ``AUTOMATIC``.

    Attributes:
        scale: ratio of output to input side.
        smooths: whether blocks of JPEG are smoothed before the network runs.
        on_note: called with messages for the user.
    """

    def __init__(self, networks: Mapping[float, Upscaler]) -> None:
        self.on_note: Callable[[str], None] = lambda _text: None
        self._networks = networks
        self._latest = networks[AUTOMATIC[-1]]
        self.scale = self._latest.scale
        self.smooths = any(network.smooths for network in networks.values())

    @property
    def tile(self) -> int:
        """Tile side of the network used last, 0 for the whole image."""
        return self._latest.tile

    def at(self, denoise: float) -> Upscaler:
        """The upscaler for a denoise amount."""
        self._latest = self._networks[denoise]
        self._latest.on_note = self.on_note
        return self._latest

    def bands(self, image: Array) -> Iterator[Array]:
        """Upscale an image with the network for its estimated damage; yield bands of rows, from top to bottom."""
        return self.at(automatic_denoise(estimate_damage(image))).bands(image)
