"""What of a recipe can't work together, said before any work: hours of a first stage must not end at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators import build_discriminator
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.texture.masks import texture_mask
from gramgan_cli.core.texture.patches import choose_places, parse_selection
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

COLOURS = 3
"""Channels of the photos that networks are trained on."""


def check_recipe(recipe: Recipe) -> None:
    """Raise for what can't work: terms that nothing feeds, crops that a part of the recipe can't take."""
    _check_network(recipe)
    _check_terms(recipe)
    if recipe.loss.texture:
        _check_patches(recipe)
    if recipe.discriminator.arch != "none":
        _check_discriminator(recipe)


def _check_network(recipe: Recipe) -> None:
    """Photos are RGB, and a network takes references or not."""
    network = dict(recipe.network)
    arch = network.pop("arch")
    described = archs.describe(arch, network)
    channels = {key: network[key] for key in ("in_nc", "out_nc") if network.get(key, COLOURS) != COLOURS}
    if channels:
        raise UsageError(f"Photos have {COLOURS} channels; the network can't be trained with {channels}.")
    if described.needs_reference != (recipe.data.references != "none"):
        hint = "needs references: set data.references=crops or name --ref-dir"
        raise UsageError(f"The network {arch} {hint if described.needs_reference else 'takes none'}.")
    if recipe.loss.transferal and not described.needs_reference:
        raise UsageError("loss.transferal needs a network that takes a reference.", "Set loss.transferal=0.")
    if recipe.data.references == "folder" and not recipe.data.ref_dir:
        raise UsageError("data.references=folder needs a folder.", "Name it by --ref-dir DIR.")


def _check_terms(recipe: Recipe) -> None:
    """Each loss term has what it is made of, and there is one at least."""
    loss, arch = recipe.loss, recipe.discriminator.arch
    if (loss.adversarial or loss.discriminator) and arch == "none":
        raise UsageError("loss.adversarial and loss.discriminator need a discriminator.", "Set discriminator.arch.")
    if loss.discriminator and arch != "gramgan":
        raise UsageError(
            f"The {arch} discriminator hands out no feature maps.", "Set loss.discriminator=0 or discriminator.arch."
        )
    if arch != "none" and not (loss.adversarial or loss.discriminator):
        raise UsageError("A discriminator without loss.adversarial or loss.discriminator trains nothing.")
    if loss.colours != "rgb" and not (loss.content or loss.frequency):
        raise UsageError("loss.colours is of loss.content and loss.frequency, which are both 0.", "Set one of them.")
    if not any(getattr(loss, name) for name in LOSS_TERMS):
        raise UsageError("All loss terms are 0: there is nothing to learn.")


def _check_patches(recipe: Recipe) -> None:
    """The texture term's patches fit into a crop, and its match compares something."""
    texture, side = recipe.texture, recipe.data.hr_crop
    if not texture.alpha + texture.beta:
        raise UsageError("texture.alpha and texture.beta are both 0: the match would compare nothing.")
    with _as_usage("Set texture.patch_size or --hr-crop."):
        choose_places(parse_selection(texture.patches), 1, side, side, texture.patch_size, torch.Generator())


def _check_discriminator(recipe: Recipe) -> None:
    """The discriminator, made of no memory, takes what it would see of a crop; so does the mask."""
    side = recipe.data.hr_crop - recipe.discriminator.jitter
    if side < 1:
        raise UsageError(
            f"discriminator.jitter={recipe.discriminator.jitter} leaves nothing of crops of {recipe.data.hr_crop} px.",
            "Set it lower.",
        )
    with _as_usage("Set --hr-crop (less discriminator.jitter) to a size that it takes."), torch.device("meta"):
        discriminator = build_discriminator(recipe.discriminator.arch, side, recipe.discriminator.nf)
        discriminator(torch.empty(2, COLOURS, side, side))
    if recipe.mask.mode != "none":
        with _as_usage("Set mask.cell or --hr-crop."):
            crop = torch.zeros(1, COLOURS, recipe.data.hr_crop, recipe.data.hr_crop)
            texture_mask(crop, recipe.mask.mode, recipe.mask.cell)


@contextmanager
def _as_usage(hint: str) -> Iterator[None]:
    """What the core says of sizes that it can't take, as an error of usage."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}.", hint) from error
