"""Choosing and cutting the patches that the texture loss compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from gramgan_cli.core.errors import GramganError


@dataclass(frozen=True)
class Selection:
    """A rule for choosing patches in each image."""

    kind: Literal["center", "random", "dense"]
    """The central patch (as in Gram-GAN), ``count`` random patches, or all patches of a non-overlapping grid."""
    count: int = 1
    """Patches per image, for 'random'."""


def parse_selection(text: str) -> Selection:
    """Parse 'center', 'dense' or 'random:K'; raise ``GramganError`` for anything else."""
    if text == "center":
        return Selection("center")
    if text == "dense":
        return Selection("dense")
    kind, _, count = text.partition(":")
    if kind == "random" and count.isdecimal() and int(count) > 0:
        return Selection("random", int(count))
    raise GramganError(f"texture.patches can't be '{text}'.", "It must be 'center', 'dense' or 'random:K' with K >= 1.")


def choose_positions(
    selection: Selection, batch: int, height: int, width: int, size: int, generator: Generator | None = None
) -> Tensor:
    """Return the top left corners (y, x) of the chosen patches, (B, K, 2), int64, on the CPU.

    Args:
        selection: the rule.
        batch, height, width: shape of the images.
        size: side of a patch in pixels.
        generator: CPU generator. With 'dense', the grid starts at a random offset, since patches that are always
            aligned with the sub-pixel grid of the generator network's last layer would leave visible borders; without a
            generator it starts at the corner.

    Raises:
        ValueError: the image is smaller than a patch.
    """
    rows, columns = height - size, width - size
    if min(rows, columns) < 0:
        raise ValueError(f"a patch of {size} px does not fit into {width} x {height}")
    if selection.kind == "center":
        return torch.tensor([rows // 2, columns // 2]).expand(batch, 1, 2)
    if selection.kind == "dense":
        reach = torch.tensor([min(size, rows + 1), min(size, columns + 1)])
        top, left = (torch.rand(2, generator=generator) * reach).long() if generator else (0, 0)
        y = torch.arange(int(top), rows + 1, size)
        x = torch.arange(int(left), columns + 1, size)
        return torch.cartesian_prod(y, x).expand(batch, -1, 2)
    shape = (batch, selection.count)
    y = torch.randint(rows + 1, shape, generator=generator)
    x = torch.randint(columns + 1, shape, generator=generator)
    return torch.stack((y, x), dim=-1)


def cut_patches(images: Tensor, positions: Tensor, size: int) -> Tensor:
    """Cut patches (B, K, C, size, size) at corners (B, K, 2) out of (B, C, H, W). Differentiable; on images' device."""
    batch, channels, _, width = images.shape
    count = positions.shape[1]
    offset = torch.arange(size)
    y = positions[..., 0, None, None] + offset[:, None]
    x = positions[..., 1, None, None] + offset
    index = (y * width + x).view(batch, 1, -1).expand(-1, channels, -1).to(images.device)
    pixels = images.flatten(2).gather(2, index)
    return pixels.view(batch, channels, count, size, size).transpose(1, 2)
