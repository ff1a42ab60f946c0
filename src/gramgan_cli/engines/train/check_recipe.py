"""Validation of a recipe before training, so that a first stage of hours does not end in an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators import TAKE_LR, build_discriminator
from gramgan_cli.core.archs.spandrel_networks import ARCH as OTHERS
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.losses.optional.artifacts import WINDOW as ARTIFACT_WINDOW
from gramgan_cli.core.losses.optional.lpips_heads import TAPS, lpips_heads
from gramgan_cli.core.losses.optional.means import REGION
from gramgan_cli.core.losses.optional.spectrum import EXCESS_LEAST, LEAST
from gramgan_cli.core.losses.optional.structure import WEIGHTS, WINDOW
from gramgan_cli.core.losses.sharpen import SIDE
from gramgan_cli.core.texture.masks import texture_mask
from gramgan_cli.core.texture.patches import choose_positions, parse_selection
from gramgan_cli.engines.train.steps.plugin_losses import plugin_losses
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

DISTS_SIDE = 32
"""Smallest crop side, in px, for the last feature map of DISTS."""

COLOURS = 3
"""Channels of RGB photos and of a discriminator's input."""


def check_recipe(recipe: Recipe) -> None:
    """Raise GramganError for settings that contradict each other, terms without inputs and crops of the wrong size."""
    _check_network(recipe)
    _check_data(recipe)
    _check_terms(recipe)
    if recipe.loss.texture:
        _check_patches(recipe)
    if recipe.discriminator.arch != "none":
        _check_discriminator(recipe)


def _check_network(recipe: Recipe) -> None:
    """Check the network's channels, initial weights and use of references."""
    arch, described = recipe.network["arch"], archs.describe_network(recipe.network)
    if arch == OTHERS and recipe.init in ("", "none"):
        raise UsageError("Training a network of spandrel's needs initial weights.", "Pass them with `init` FILE.")
    channels = (described.in_channels, described.out_channels)
    if channels not in ((COLOURS, COLOURS), (1, 1)):
        raise UsageError(
            f"A network must have {COLOURS} input and output channels, or 1 for grey; this one has {channels[0]} "
            f"and {channels[1]}.",
            "For grey: `settings` network.in_nc=1 `settings` network.out_nc=1",
        )
    if channels == (1, 1) and recipe.degradation.share:
        raise UsageError(
            "Damage needs colour photos, but this network trains on grey images.", "Set degradation.share=0."
        )
    if described.needs_reference != (recipe.data.references != "none"):
        hint = "needs references: set data.references=crops or use `ref_dir`"
        raise UsageError(f"The network {arch} {hint if described.needs_reference else 'takes no references'}.")
    if recipe.loss.transferal and not described.needs_reference:
        raise UsageError("loss.transferal needs a network that takes a reference.", "Set loss.transferal=0.")
    if recipe.data.references == "folder" and not recipe.data.ref_dir:
        raise UsageError("data.references=folder needs a folder.", "Pass it with `ref_dir` DIR.")


def _check_data(recipe: Recipe) -> None:
    """Check that crops are multiples of the scale and that the data settings agree."""
    data, scale = recipe.data, archs.describe_network(recipe.network).scale
    for key, option, side in (
        ("HR crop", "`data.hr_crop`", data.hr_crop),
        ("validation crop", "data.valid_crop", data.valid_crop),
    ):
        if side % scale:
            low = max(scale, side - side % scale)
            raise UsageError(
                f"The {key} ({side}) must be a multiple of the scale ({scale}).",
                f"Set {option}: {low} or {low + scale}.",
            )
    if data.rotation and recipe.degradation.share:
        raise UsageError("data.rotation and degradation.share can't be combined.", "Set one of them to 0.")
    if data.rotation and data.lr_dir:
        raise UsageError(
            "data.rotation needs LR images that are made from HR.", "Leave out `lr_dir`, or set data.rotation=0."
        )
    if data.weights and (len(data.weights) != len(data.hr_dir) or min(data.weights) < 0 or not sum(data.weights)):
        raise UsageError(
            f"data.weights needs a number for each of the {len(data.hr_dir)} sources of photos, and not all may be 0.",
            "For example, for two `hr_dir`: `settings` 'data.weights=[3.0, 1.0]'",
        )
    if data.valid_lr_dir and not (data.valid_dir and data.lr_dir):
        raise UsageError(
            "data.valid_lr_dir needs data.valid_dir, and given LR in training too.",
            "Use `lr_dir`, `valid_dir` and `valid_lr_dir`.",
        )


def _check_terms(recipe: Recipe) -> None:
    """Check that there is a loss term and that each term has the networks, crop size and settings that it needs."""
    loss, arch, own = recipe.loss, recipe.discriminator.arch, plugin_losses(recipe)
    if (loss.adversarial or loss.discriminator) and arch == "none":
        raise UsageError(
            "loss.adversarial and loss.discriminator need a discriminator.",
            "Set discriminator.arch, or loss.adversarial=0 and loss.discriminator=0.",
        )
    if loss.discriminator and arch != "gramgan":
        raise UsageError(
            f"The {arch} discriminator returns no feature maps.", "Set loss.discriminator=0 or discriminator.arch."
        )
    if arch != "none" and not (loss.adversarial or loss.discriminator):
        raise UsageError(
            "A discriminator has no effect without loss.adversarial or loss.discriminator.",
            "Set loss.adversarial, or discriminator.arch=none.",
        )
    if recipe.discriminator.penalty and arch == "none":
        raise UsageError(
            "discriminator.penalty needs a discriminator.", "Set discriminator.arch, or discriminator.penalty=0."
        )
    if recipe.discriminator.penalty and loss.adversarial_form == "wgan-gp":
        raise UsageError(
            "loss.adversarial_form=wgan-gp has a gradient penalty of its own.", "Set discriminator.penalty=0."
        )
    if loss.colours != "rgb" and not (loss.content or loss.frequency):
        raise UsageError(
            "loss.colours applies to loss.content and loss.frequency, which are both 0.", "Set one of them."
        )
    _check_sides(recipe)
    if recipe.optimizer.weight_decay and recipe.optimizer.name != "adamw":
        raise UsageError("optimizer.weight_decay works only with AdamW.", "Set optimizer.name=adamw too.")
    if loss.phase and archs.describe_network(recipe.network).scale == 1:
        raise UsageError("loss.phase compares positions within an LR pixel: it needs a scale above 1.", "Set it to 0.")
    if loss.perceptual and recipe.features.distance == "lpips":
        _check_lpips(recipe)
    if loss.sharpened and recipe.data.hr_crop <= SIDE // 2:
        raise UsageError(
            f"loss.sharpened blurs over {SIDE} px, too far for crops of {recipe.data.hr_crop}.", "Set `data.hr_crop`."
        )
    if not any(getattr(loss, name) for name in LOSS_TERMS) and not own:
        raise UsageError("All loss terms are 0: there is nothing to learn.")


def least_sides(recipe: Recipe) -> dict[str, int]:
    """Smallest side of the images, in px, that each of the recipe's terms takes, by the term's name."""
    loss = recipe.loss
    least = {
        "spectrum": LEAST,
        "excess": EXCESS_LEAST,
        "ssim": WINDOW,
        "ms_ssim": WINDOW * 2 ** (len(WEIGHTS) - 1),
        "means": REGION,
        "artifacts": ARTIFACT_WINDOW,
        "dists": DISTS_SIDE,
    }
    if loss.perceptual or loss.style:
        from gramgan_cli.core.features import least_side  # brings torchvision, which most runs don't need

        with _as_usage("Set features.taps."):
            least["style"] = least["perceptual"] = least_side(recipe.features.extractor, recipe.features.taps)
    return {name: side for name, side in least.items() if getattr(loss, name)}


def _check_sides(recipe: Recipe) -> None:
    """Check that crops for training, and for the validation loss, are as large as the terms need."""
    data, jitter = recipe.data, recipe.features.jitter
    for name, side in least_sides(recipe).items():
        if name == "perceptual" and jitter and data.hr_crop - jitter < side:
            raise UsageError(
                f"features.jitter={jitter} leaves too little of crops of {data.hr_crop} px: the features need {side}.",
                "Set it lower.",
            )
        if data.hr_crop < side:
            raise UsageError(f"loss.{name} needs crops of at least {side} px.", "Set `data.hr_crop`.")
        if recipe.valid_loss and 0 < data.valid_crop < side:
            raise UsageError(
                f"With valid_loss, loss.{name} needs validation crops of at least {side} px.", "Set data.valid_crop."
            )


def _check_lpips(recipe: Recipe) -> None:
    """Check that the taps are those that LPIPS has weights for (VGG16 after ReLU) and that its package is installed."""
    features = recipe.features
    if features.extractor != "vgg16" or not features.activated or not set(features.taps) <= set(TAPS):
        raise UsageError(
            f"features.distance=lpips needs VGG16's {', '.join(TAPS)} after the activation.",
            "Set features.extractor=vgg16, features.activated=true and features.taps to some of these.",
        )
    lpips_heads()


def _check_patches(recipe: Recipe) -> None:
    """Check that the texture term's patches fit into a crop and that alpha and beta are not both 0."""
    texture, side = recipe.texture, recipe.data.hr_crop
    if not texture.alpha + texture.beta:
        raise UsageError("texture.alpha and texture.beta are both 0: the search would compare nothing.")
    with _as_usage("Set texture.patch_size or `data.hr_crop`."):
        choose_positions(parse_selection(texture.patches), 1, side, side, texture.patch_size, torch.Generator())


def _check_discriminator(recipe: Recipe) -> None:
    """Run the discriminator on the meta device, and the mask, to check that both accept the crop size."""
    side = recipe.data.hr_crop - recipe.discriminator.jitter
    if side < 1:
        raise UsageError(
            f"discriminator.jitter={recipe.discriminator.jitter} leaves nothing of crops of {recipe.data.hr_crop} px.",
            "Set it lower.",
        )
    takes_lr = recipe.discriminator.arch in TAKE_LR
    if takes_lr and (recipe.discriminator.jitter or recipe.mask.mode != "none"):
        raise UsageError(
            "discriminator.arch=detail compares whole crops with their LR, so it takes no discriminator.jitter and no "
            "mask.",
            "Set discriminator.jitter=0 and mask.mode=none.",
        )
    if takes_lr and recipe.discriminator.input_range != "unit":
        raise UsageError(
            "discriminator.arch=detail takes images in [0, 1], as LR is.", "Set discriminator.input_range=unit."
        )
    with _as_usage("Set `data.hr_crop` (less discriminator.jitter) to a size that it takes."), torch.device("meta"):
        scale = archs.describe_network(recipe.network).scale
        discriminator = build_discriminator(recipe.discriminator.arch, side, recipe.discriminator.nf, scale)
        images = [torch.empty(2, COLOURS, side, side)]
        if takes_lr:
            images.append(torch.empty(2, COLOURS, side // scale, side // scale))
        discriminator(*images)
    if recipe.mask.mode != "none":
        with _as_usage("Set mask.cell or `data.hr_crop`."):
            crop = torch.zeros(1, COLOURS, recipe.data.hr_crop, recipe.data.hr_crop)
            texture_mask(crop, recipe.mask.mode, recipe.mask.cell)


@contextmanager
def _as_usage(hint: str) -> Iterator[None]:
    """Re-raise the core's errors about sizes as UsageError with a hint."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}.", hint) from error
