"""The target patches p* of the texture loss: from the bank, from the image itself, or from both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from gramgan_cli.core.texture.gram import packed_gram
from gramgan_cli.core.texture.patchdb.bank import Bank
from gramgan_cli.core.texture.patchdb.query import Search, build_index, combined_query
from gramgan_cli.core.texture.patchdb.versions import AFFINE_NUMBERS, MARGIN, affine_patches, down_up_patches
from gramgan_cli.core.texture.patches import Selection, choose_positions, cut_patches

Source = Literal["database", "image", "both"]


def image_candidates(hr: Tensor, size: int, centered: bool, generator: Generator | None = None) -> Tensor:
    """Return packed Gram matrices of the image's own patches: (B, 3, H, W) in [0, 1] -> (B, M, 6).

    The candidates are those of the paper: all non-overlapping patches; those at least ``MARGIN`` pixels from the
    borders down- and upscaled; and the latter under affine maps drawn from ``generator`` (on the CPU).
    """
    batch, _, height, width = hr.shape
    positions = choose_positions(Selection("dense"), batch, height, width, size)
    ends = torch.tensor([height, width]) - size - MARGIN
    inner = positions[:, ((positions[0] >= MARGIN) & (positions[0] <= ends)).all(dim=1)]
    normals = torch.randn(batch, inner.shape[1], AFFINE_NUMBERS, generator=generator).to(hr.device)
    versions = (
        cut_patches(hr, positions, size),
        down_up_patches(hr, inner, size),
        affine_patches(hr, inner.to(hr.device), size, normals),
    )
    return torch.cat([packed_gram(patches, centered) for patches in versions], dim=1)


@dataclass(frozen=True, kw_only=True)
class MatchOptions:
    """Score and search method for candidates."""

    centered: bool = False
    """Compare Gram matrices of patches with each channel's mean removed."""
    alpha: float = 0.5
    """Weight of the distance from the HR patch's Gram matrix; not negative."""
    beta: float = 0.5
    """Weight of the distance from the SR patch's Gram matrix; not negative, and not 0 together with ``alpha``."""
    search: Search = "auto"
    """Kind of index, as in ``build_index``."""


class TextureTargets:
    """Finds the candidate p* that best matches each pair of SR and HR patches.

    p* = argmin over the candidates of alpha |Gp - Gg|^2 + beta |Gp - Ge|^2 (Song et al. 2023, section 3.2).

    Args:
        source: candidates from the 'database', from the 'image' itself, or from 'both' (the nearer of the two).
        patch_size: side of a patch in pixels; must equal the bank's.
        options: score and search method.
        bank: required for 'database' and 'both'.
        device: device of the patches.
        generator: CPU generator for the affine maps of 'image' and 'both'.

    Raises:
        ValueError: the bank is missing, or has another patch size.
    """

    def __init__(
        self,
        source: Source,
        patch_size: int,
        options: MatchOptions | None = None,
        *,
        bank: Bank | None = None,
        device: torch.device | None = None,
        generator: Generator | None = None,
    ) -> None:
        if source != "image" and bank is None:
            raise ValueError(f"candidates '{source}' need a bank")
        if bank is not None and bank.provenance.patch_size != patch_size:
            raise ValueError(f"the bank's patches are {bank.provenance.patch_size} px, not {patch_size}")
        self.source = source
        self.patch_size = patch_size
        self.options = options or MatchOptions()
        self.generator = generator
        if bank is not None and source != "image":
            device = device or torch.device("cpu")
            self._entries = bank.grams(self.options.centered).to(device)
            self._index = build_index(self._entries, device, self.options.search)

    @torch.no_grad()
    def find_best(self, sr_patches: Tensor, hr_patches: Tensor, hr: Tensor) -> Tensor:
        """Return the packed Gram matrices of the patches p*, (B, K, 6), float32, without gradient.

        Args:
            sr_patches, hr_patches: (B, K, 3, size, size) in [0, 1], at the same positions.
            hr: the images that ``hr_patches`` come from, (B, 3, H, W); used by 'image' and 'both' only.
        """
        match = self.options
        hr_grams, sr_grams = (packed_gram(patches, match.centered) for patches in (hr_patches, sr_patches))
        query = combined_query(hr_grams, sr_grams, match.alpha, match.beta)
        if self.source == "database":
            return self._entries[self._index.find_best(query)]
        own = self._from_images(query, hr)
        if self.source == "image":
            return own
        banked = self._entries[self._index.find_best(query)]
        nearer = (banked - query).square().sum(-1, keepdim=True) <= (own - query).square().sum(-1, keepdim=True)
        return torch.where(nearer, banked, own)

    def _from_images(self, query: Tensor, hr: Tensor) -> Tensor:
        """Return each query's nearest candidate from its own image: (B, K, 6) -> (B, K, 6)."""
        candidates = image_candidates(hr.float(), self.patch_size, self.options.centered, self.generator)
        return torch.stack(
            [
                own[build_index(own, own.device, self.options.search).find_best(wanted)]
                for own, wanted in zip(candidates, query, strict=True)
            ]
        )
