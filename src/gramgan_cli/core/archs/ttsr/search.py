"""TTSR's texture search and hard attention in bounded memory (Yang et al., CVPR 2020, sections 3.2 and 3.3).

Reference positions are indices into its (hk, wk) grid at level 3 (a quarter of its size), in row-major order. Only
centres of 3x3 patches that lie inside the reference are candidates, so padding is never matched or copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.errors import GramganError

PATCH = 3
"""Side of a patch at level 3."""
EPSILON = 1e-12
"""Smallest divisor for norms, as in ``torch.nn.functional.normalize``."""
BUDGET = 4_000_000
"""Maximum number of similarities held at once; peak memory is about four times as many floats."""


@dataclass(frozen=True)
class Match:
    """Position and similarity of the best reference patch for each query position."""

    positions: Tensor
    """H: (B, h, w) int64, index y * wk + x of the best reference patch's centre."""
    scores: Tensor
    """S: (B, 1, h, w), cosine similarity of the two patches' features, -1 to 1."""
    reference_size: tuple[int, int]
    """(hk, wk), the grid that ``positions`` index."""


def _squared_patch_norms(features: Tensor) -> Tensor:
    """Return the squared norm of each 3x3 patch: (B, C, h, w) -> (B, h - 2, w - 2)."""
    squares = features.square().sum(1, keepdim=True)
    return F.avg_pool2d(squares, PATCH, 1, divisor_override=1)[:, 0]


def _tiles(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Yield tiles of at most ``side`` x ``side`` positions, in row-major order."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))


def _grown(tile: tuple[slice, slice]) -> tuple[slice, slice]:
    """Return the pixels covered by a tile of 3x3 patches."""
    rows, columns = tile
    return slice(rows.start, rows.stop + PATCH - 1), slice(columns.start, columns.stop + PATCH - 1)


def _patch_products(query: Tensor, key: Tensor) -> Tensor:
    """Return the inner products of all 3x3 patches of two small maps.

    A patch product is the sum of nine pixel products. Each pixel product, a sum over C channels, is computed once
    instead of nine times: first for all pairs of pixels, then summed along the shared x offset, then along the shared
    y offset.

    Args:
        query: (B, C, a + 2, b + 2).
        key: (B, C, c + 2, d + 2).

    Returns:
        (B, a, b, c, d).
    """
    pixels = torch.einsum("bcyx,bcuv->byxuv", query, key)
    b, d = query.shape[-1] - 2, key.shape[-1] - 2
    along_x = pixels[:, :, 0:b, :, 0:d] + pixels[:, :, 1 : b + 1, :, 1 : d + 1]
    along_x += pixels[:, :, 2:, :, 2:]
    del pixels
    a, c = query.shape[-2] - 2, key.shape[-2] - 2
    products = along_x[:, 0:a, :, 0:c] + along_x[:, 1 : a + 1, :, 1 : c + 1]
    products += along_x[:, 2:, :, 2:]
    return products


@torch.no_grad()
def _best_positions(query: Tensor, key: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Return scores and positions (B, h, w) of the best patches in ``key`` (B, C, hk, wk) for ``query``.

    ``query`` is (B, C, h + 2, w + 2). Both grids are processed in square tiles, so memory does not depend on size or
    aspect ratio. Ties go to the first position, as in a direct argmax.
    """
    batch, _, height, width = query.shape
    height, width = height - 2, width - 2
    key_width = key.shape[-1]
    side = max(1, int((budget / batch) ** 0.25) - (PATCH - 1))
    inverse_key = _squared_patch_norms(key).sqrt().clamp_min(EPSILON).reciprocal()
    inverse_query = _squared_patch_norms(query).sqrt().clamp_min(EPSILON).reciprocal()
    scores = query.new_full((batch, height, width), -torch.inf)
    first = key_width + 1  # kept if all scores are NaN, so that a diverged network gives NaN and not a wrong index
    positions = torch.full((batch, height, width), first, dtype=torch.int64, device=query.device)
    for here in _tiles(height, width, side):
        window = (slice(None), *here)
        query_tile = query[(..., *_grown(here))]
        for there in _tiles(key.shape[-2] - 2, key_width - 2, side):
            products = _patch_products(query_tile, key[(..., *_grown(there))])
            products *= inverse_key[:, None, None, there[0], there[1]]
            found, flat = products.flatten(3).max(3)
            tile_width = there[1].stop - there[1].start
            y, x = flat // tile_width + there[0].start + 1, flat % tile_width + there[1].start + 1
            where = y * key_width + x
            known = scores[window]
            better = (found > known) | ((found == known) & (where < positions[window]))
            scores[window] = torch.where(better, found, known)
            positions[window] = torch.where(better, where, positions[window])
    return scores * inverse_query, positions


def _scores_at(query: Tensor, key: Tensor, positions: Tensor) -> Tensor:
    """Return cosine similarities (B, h, w) at the given positions, differentiable in both maps."""
    batch, channels = key.shape[:2]
    height, width = positions.shape[1:]
    flat = key.flatten(2)
    dots = query.new_zeros(positions.shape)
    for dy in range(PATCH):
        for dx in range(PATCH):
            index = positions + (dy - 1) * key.shape[-1] + dx - 1
            chosen = flat.gather(2, index.flatten(1)[:, None].expand(batch, channels, -1))
            dots = dots + (
                query[..., dy : dy + height, dx : dx + width] * chosen.view(batch, channels, height, width)
            ).sum(1)
    centre = positions // key.shape[-1] - 1, positions % key.shape[-1] - 1
    squared = _squared_patch_norms(key)
    key_squared = squared.flatten(1).gather(1, (centre[0] * squared.shape[-1] + centre[1]).flatten(1)).view_as(dots)
    norm = _norm(_squared_patch_norms(query)) * _norm(key_squared)
    return dots / norm


def _norm(squared: Tensor) -> Tensor:
    """Return the square root, bounded below and with a finite gradient at 0."""
    return squared.clamp_min(EPSILON**2).sqrt()


def check_reference_size(height: int, width: int) -> None:
    """Raise ``GramganError`` if a reference of this size in pixels is smaller than one patch."""
    if min(height, width) < 4 * PATCH:
        raise GramganError(
            f"The reference is too small: {width} x {height} pixels, but the search needs {4 * PATCH} x {4 * PATCH}.",
            "Use a larger reference.",
        )


def search(query: Tensor, key: Tensor, budget: int = BUDGET) -> Match:
    """Find the most similar 3x3 patch of ``key`` for each of ``query``: R = K^T Q, S = max R, H = argmax R.

    The result equals that of the direct search, in memory of about 4 x ``budget`` numbers at any image size.

    Args:
        query: Q, (B, C, h, w): features of the upsampled LR. Its edges are replicated, so that every position has a
            patch.
        key: K, (B, C, hk, wk): features of the blurred reference; hk, wk >= 3.
        budget: maximum number of similarities held at once.

    Returns:
        S, H and the reference's grid. If gradients are enabled, S is differentiable in Q and K at the matches.

    Raises:
        GramganError: the reference is smaller than one patch.
    """
    hk, wk = key.shape[-2:]
    check_reference_size(4 * hk, 4 * wk)
    with torch.autocast(query.device.type, enabled=False):
        query, key = _at_least_fp32(query), _at_least_fp32(key)
        padded = F.pad(query, (1, 1, 1, 1), mode="replicate")
        scores, positions = _best_positions(padded, key, budget)
        if torch.is_grad_enabled():
            scores = _scores_at(padded, key, positions)
    return Match(positions, scores[:, None], (hk, wk))


def _at_least_fp32(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()


def transfer(value: Tensor, match: Match) -> Tensor:
    """Hard attention: copy the matched reference patches of one level to the query positions and average overlaps.

    With f = 1, 2, 4 at levels 3, 2, 1, patches are 3f x 3f with stride f, each centred on the f x f block of its query
    position. A block receives nine patches, or six at an edge and four in a corner. The sum is divided by the actual
    count; dividing by nine everywhere would darken the border. It is computed block by block, without unfolded patches:
    T(p) = mean over d of V(H(p + d) - d), d in {-1, 0, 1}^2.

    Args:
        value: V, (B, C, f hk, f wk): features of the reference at this level.
        match: result of ``search``.

    Returns:
        T, (B, C, f h, f w), differentiable in ``value``.
    """
    hk, wk = match.reference_size
    factor = value.shape[-1] // wk
    if value.shape[-2:] != (factor * hk, factor * wk):
        raise ValueError(f"value has size {tuple(value.shape[-2:])}, which is not a multiple of the grid {(hk, wk)}")
    blocks = _to_blocks(value, factor)
    batch, height, width = match.positions.shape
    numbers = blocks.shape[1]
    first = torch.arange(batch, device=blocks.device).view(-1, 1, 1) * (hk * wk)
    total = blocks.new_zeros((batch, height, width, numbers))
    count = blocks.new_zeros((height, width, 1))
    lines = max(1, BUDGET // (batch * width * numbers))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            (row, end), columns = _overlap(height, dy), slice(*_overlap(width, dx))
            count[row:end, columns] += 1
            for top in range(row, end, lines):
                rows = slice(top, min(top + lines, end))
                around = match.positions[:, rows.start + dy : rows.stop + dy, columns.start + dx : columns.stop + dx]
                index = around - (dy * wk + dx) + first
                total[:, rows, columns] += blocks.index_select(0, index.flatten()).view(*index.shape, numbers)
    total /= count
    return _from_blocks(total, factor)


def _to_blocks(image: Tensor, factor: int) -> Tensor:
    """Reshape (B, C, f h, f w) to (B h w, f f C): one row for each f x f block."""
    batch, channels, height, width = image.shape
    split = image.reshape(batch, channels, height // factor, factor, width // factor, factor)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(-1, factor**2 * channels)


def _from_blocks(blocks: Tensor, factor: int) -> Tensor:
    """Reshape (B, h, w, f f C) to (B, C, f h, f w), channels last in memory."""
    batch, height, width, numbers = blocks.shape
    split = blocks.view(batch, height, width, factor, factor, numbers // factor**2)
    image = split.transpose(2, 3).reshape(batch, factor * height, factor * width, -1)
    return image.permute(0, 3, 1, 2)


def _overlap(length: int, shift: int) -> tuple[int, int]:
    """Return start and end of the positions p in [0, length) for which p + shift is in [0, length) too."""
    return max(0, -shift), length - max(0, shift)
