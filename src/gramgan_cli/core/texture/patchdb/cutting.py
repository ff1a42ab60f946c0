"""Cutting a photo's patches in all versions and computing their Gram matrices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramgan_cli.core.data.prepared import picture_errors, read_rgb
from gramgan_cli.core.images.formats.pillow import open_image
from gramgan_cli.core.texture.gram import PACKED, packed_gram
from gramgan_cli.core.texture.patchdb.versions import VERSIONS, affine_patches, down_up_patches
from gramgan_cli.core.texture.patches import cut_patches

_AT_ONCE = 512
"""Positions per chunk, which bounds the memory used for their surroundings."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_SIZE = (256, 257)
"""TIFF tags ImageWidth and ImageLength."""


@dataclass(frozen=True)
class PhotoPatches:
    """The bank's data from one photo."""

    sha256: str
    """Hash of the file."""
    patches: Tensor
    """(3, n, 3, size, size), uint8; the first axis is the version."""
    raw_grams: Tensor
    """(3, n, 6), float32: packed Gram matrices of the patches' [0, 1] values."""
    centered_grams: Tensor
    """The same with each channel's mean removed."""


def upright_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image after applying its EXIF orientation, without decoding it."""
    with picture_errors(str(path)), open_image(path) as image:
        # Read the stored size: newer versions of Pillow report a TIFF's size after rotation, but not other formats'.
        tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
        width, height = (int(tags.get(tag, side)) for tag, side in zip(_SIZE, image.size, strict=True))
        turned = image.getexif().get(_ORIENTATION) in _TURNED
    return (width, height) if turned else (height, width)


def _to_8bit(values: Tensor) -> Tensor:
    """Round half up and clip to 0..255."""
    return (values + 0.5).floor().clamp(0, 255).to(torch.uint8)


def cut_versions(image: Tensor, positions: Tensor, size: int, normals: Tensor) -> Tensor:
    """Return the patches in all three versions, in the order of ``VERSIONS``, rounded to 8 bits.

    Args:
        image: (3, H, W), uint8.
        positions: corners (y, x), (n, 2).
        size: side of a patch in pixels.
        normals: (n, 5), floating point; see ``affine_offsets``.

    Returns:
        (3, n, 3, size, size), uint8.
    """
    batch, corners, numbers = image[None], positions[None], normals[None]
    versions = (
        cut_patches(batch, corners, size),
        _to_8bit(down_up_patches(batch, corners, size)),
        _to_8bit(affine_patches(batch, corners, size, numbers)),
    )
    return torch.cat(versions)


def grams_of(patches: Tensor, centered: bool) -> Tensor:
    """Return the packed Gram matrices (..., 6), float32, of uint8 patches (..., 3, size, size) scaled to [0, 1].

    They are computed in float64 and rounded once.
    """
    return packed_gram(patches.double() / 255, centered).float()


def cut_photo(path: Path, corners: NDArray[np.int64], size: int, normals: NDArray[np.float64]) -> PhotoPatches:
    """Decode ``path`` and cut patches at ``corners`` (y, x), (n, 2); ``normals`` (n, 5) define their affine maps."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not len(corners):
        nothing = torch.zeros(len(VERSIONS), 0, PACKED)
        return PhotoPatches(digest, torch.zeros(len(VERSIONS), 0, 3, size, size, dtype=torch.uint8), nothing, nothing)
    image = torch.from_numpy(np.array(read_rgb(path).transpose(2, 0, 1), order="C"))
    pieces = [
        cut_versions(image, positions, size, numbers)
        for positions, numbers in zip(
            torch.split(torch.from_numpy(corners), _AT_ONCE),
            torch.split(torch.from_numpy(normals).float(), _AT_ONCE),
            strict=True,
        )
    ]
    return PhotoPatches(
        digest,
        patches=torch.cat(pieces, dim=1),
        raw_grams=torch.cat([grams_of(piece, centered=False) for piece in pieces], dim=1),
        centered_grams=torch.cat([grams_of(piece, centered=True) for piece in pieces], dim=1),
    )
