"""Texture loss L_PT (Song et al.): choose patches, find the best matching real patches, compare Gram matrices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.losses.texture import patch_texture
from gramgan_cli.core.texture.patchdb.bank import default_bank, load_bank
from gramgan_cli.core.texture.patchdb.candidates import MatchOptions, TextureTargets
from gramgan_cli.core.texture.patches import choose_positions, cut_patches, parse_selection
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.step_seed import step_seed
from gramgan_cli.recipes.schema import Recipe


def needs_bank(recipe: Recipe) -> bool:
    """Whether the recipe's texture term takes its target patches from a bank."""
    return bool(recipe.loss.texture) and recipe.texture.candidates != "image"


def with_bank(recipe: Recipe) -> Recipe:
    """The recipe with the path of its texture bank, and with the bank's photos if it names no others.

    Raises:
        GramganError: the bank is missing (the hint names the command that makes one), or its photos are gone.
        UsageError: the bank has another patch size.
    """
    if not needs_bank(recipe):
        return recipe
    path = Path(recipe.texture.db) if recipe.texture.db else default_bank()
    if not path.is_file():
        raise GramganError(
            f"There is no texture bank {path}.",
            "Build one with: gramgan build-db --hr-dir DIR (or train without: `settings` loss.texture=0)",
        )
    provenance = load_bank(path).provenance
    if provenance.patch_size != recipe.texture.patch_size:
        raise UsageError(
            f"The bank {path} has patches of {provenance.patch_size} px, not {recipe.texture.patch_size}.",
            f"Set texture.patch_size={provenance.patch_size}, or build another bank with `patch_size`.",
        )
    recipe = replace(recipe, texture=replace(recipe.texture, db=str(path)))
    if not recipe.data.hr_dir:
        if not Path(provenance.hr_dir).exists():
            raise GramganError(
                f"The photos of the bank {path} are no longer in {provenance.hr_dir}.",
                "Pass their folder with `hr_dir` DIR.",
            )
        recipe = replace(recipe, data=replace(recipe.data, hr_dir=(provenance.hr_dir,)))
    return recipe


def bank_checksum(recipe: Recipe) -> str:
    """Checksum of the recipe's texture bank, empty without one."""
    return load_bank(Path(recipe.texture.db)).provenance.checksum if needs_bank(recipe) else ""


class TextureTerm:
    """L_PT of a batch. Its randomness depends only on (seed, step), so that a resumed run draws the same patches."""

    def __init__(self, recipe: Recipe, device: torch.device, group: Group) -> None:
        self.seed, self.group = recipe.seed, group
        self.size, self.centered = recipe.texture.patch_size, recipe.texture.centered
        self.selection = parse_selection(recipe.texture.patches)
        self.generator = torch.Generator()
        self.targets = TextureTargets(
            recipe.texture.candidates,
            recipe.texture.patch_size,
            MatchOptions(
                centered=recipe.texture.centered,
                alpha=recipe.texture.alpha,
                beta=recipe.texture.beta,
                search=recipe.texture.search,
            ),
            bank=load_bank(Path(recipe.texture.db)) if needs_bank(recipe) else None,
            device=device,
            generator=torch.Generator(),
        )

    def __call__(self, sr: Tensor, hr: Tensor, step: int) -> Tensor:
        """SR and HR (b, 3, H, W), float32 in [0, 1] -> scalar; gradients flow to SR."""
        positions = self.positions(hr, step)
        sr_patches, hr_patches = cut_patches(sr, positions, self.size), cut_patches(hr, positions, self.size)
        assert self.targets.generator is not None
        own = step_seed(self.seed, step, self.group.rank, self.group.processes)
        self.targets.generator.manual_seed(own)
        target = self.targets.find_best(sr_patches.detach(), hr_patches, hr)
        return patch_texture(sr_patches, target, self.centered)

    def positions(self, hr: Tensor, step: int) -> Tensor:
        """Patch positions (b, K, 2): this process's share of those that one process would draw for the whole batch."""
        self.generator.manual_seed(step_seed(self.seed, step))
        everyone = hr.shape[0] * self.group.processes
        chosen = choose_positions(self.selection, everyone, hr.shape[2], hr.shape[3], self.size, self.generator)
        return chosen[self.group.rank :: self.group.processes]
