"""The generator's loss terms, except the two that need a discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.losses.colours import luma_and_differences
from gramgan_cli.core.losses.content import charbonnier, l1, mse
from gramgan_cli.core.losses.frequency import frequency
from gramgan_cli.core.losses.optional.artifacts import artifacts
from gramgan_cli.core.losses.optional.lpips_heads import lpips_heads
from gramgan_cli.core.losses.optional.means import means
from gramgan_cli.core.losses.optional.spectrum import excess, spectrum
from gramgan_cli.core.losses.optional.structure import ms_ssim_loss, ssim_loss
from gramgan_cli.core.losses.optional.style import style
from gramgan_cli.core.losses.optional.wavelet import wavelet
from gramgan_cli.core.losses.perceptual import perceptual
from gramgan_cli.core.losses.phase import phase_pattern
from gramgan_cli.core.losses.plain import plain_l1
from gramgan_cli.core.losses.sharpen import sharpened
from gramgan_cli.core.losses.transferal import transferal_perceptual
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.generate import Generated, generate
from gramgan_cli.engines.train.steps.jitter import jittered
from gramgan_cli.engines.train.steps.plugin_losses import plugin_losses
from gramgan_cli.engines.train.steps.precision import autocast
from gramgan_cli.engines.train.steps.texture_term import TextureTerm
from gramgan_cli.engines.train.steps.value_range import as_rgb, in_range
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

if TYPE_CHECKING:
    from gramgan_cli.core.features import FeatureExtractor
    from gramgan_cli.core.metrics.dists import Dists

NORMALISING = 8
"""Number of steps whose HR crops are used to measure each tap's mean size."""

DISTANCES = {"l1": l1, "mse": mse, "charbonnier": charbonnier}


PIXEL_TERMS = {
    "ssim": ssim_loss,
    "ms_ssim": ms_ssim_loss,
    "wavelet": wavelet,
    "spectrum": spectrum,
    "excess": excess,
    "means": means,
}


def needs_features(recipe: Recipe) -> bool:
    """Whether a loss term needs a feature extractor."""
    return bool(recipe.loss.perceptual or recipe.loss.style)


def extractor_of(recipe: Recipe) -> FeatureExtractor:
    """Frozen feature extractor of the recipe. Raises FeatureWeightsMissing if its weights are not available."""
    from gramgan_cli.core.features import FeatureExtractor  # brings torchvision, which most runs don't need

    wanted = recipe.features
    made = FeatureExtractor(wanted.extractor, tuple(wanted.taps), wanted.activated, wanted.weights)
    return made if wanted.imagenet_norm else made.without_imagenet_norm()


def dists_of(recipe: Recipe) -> Dists:
    """Frozen network of the term ``dists``: VGG16 with ``features.weights``."""
    from gramgan_cli.core.features import FeatureExtractor, weights_of  # brings torchvision
    from gramgan_cli.core.metrics.dists import Dists

    if recipe.features.weights != "random":
        return Dists(weights_of("vgg16", recipe.features.weights))
    layers = FeatureExtractor("vgg16", ("conv5_3",), weights="random").layers
    return Dists({f"features.{key}": value for key, value in layers.state_dict().items()})


def check_features(recipe: Recipe) -> None:
    """Raise GramganError if feature weights are not available, with a hint on what can be trained without them.

    Called before a first stage, so that hours of training do not end at a missing file.
    """
    if not needs_features(recipe) and not recipe.loss.dists and recipe.network["arch"] != "ttsr":
        return
    from gramgan_cli.core.feature_weights import FeatureWeightsMissing
    from gramgan_cli.core.features import official_weights

    try:
        if needs_features(recipe):
            extractor_of(recipe)
        if recipe.loss.dists:
            dists_of(recipe)
        if recipe.network["arch"] == "ttsr" and recipe.features.weights == "imagenet" and recipe.init in ("", "none"):
            official_weights("vgg19")
    except FeatureWeightsMissing as error:
        raise GramganError(error.message, " ".join([error.hint or "", *_instead(recipe)])) from error


def _instead(recipe: Recipe) -> list[str]:
    """Sentences on how to train without the missing feature weights."""
    looking, used = {"perceptual", "style", "dists"}, [name for name in LOSS_TERMS if getattr(recipe.loss, name)]
    others = [name for name in used if name not in looking]
    leave_out = " ".join(f"`settings` loss.{name}=0" for name in used if name in looking)
    if recipe.network["arch"] == "ttsr":
        return ["Or start the texture extractor from random weights: `settings` features.weights=random."]
    if recipe.loss.texture:
        compact = "Or use `recipe` gramgan-compact, which needs no such weights and suits a CPU."
        return [compact, f"Or leave the term out: {leave_out}."]
    if others:
        return [f"Or leave the term out: {leave_out}."]
    return ["This recipe trains on features alone. To train on pixels, use `recipe` srresnet."]


class PictureTerms:
    """Computes the loss terms that have a weight in the recipe."""

    def __init__(
        self, generator: nn.Module, recipe: Recipe, precision: str, device: torch.device, group: Group
    ) -> None:
        self.generator = generator
        self.recipe, self.precision, self.device, self.group = recipe, precision, device, group
        self.distance = DISTANCES[recipe.loss.content_distance]
        self.plugins = plugin_losses(recipe, device)
        self.texture = TextureTerm(recipe, device, group) if recipe.loss.texture else None
        self.described = archs.describe_network(recipe.network)
        self.features = self._extractor() if needs_features(recipe) else None
        self.dists = dists_of(recipe).to(device) if recipe.loss.dists else None
        self.average: nn.Module | None = None
        """Generator with averaged weights, if there is one; set after construction."""
        learned = recipe.loss.perceptual and recipe.features.distance == "lpips"
        self.heads = {tap: head.to(device) for tap, head in lpips_heads().items()} if learned else None

    def _extractor(self) -> FeatureExtractor:
        """Feature extractor on the pictures' device, in channels-last layout, which is fastest."""
        extractor = extractor_of(self.recipe)
        return extractor.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def normalise(self, batch_of: Callable[[int], Batch]) -> None:
        """If the recipe sets ``features.normalise``, divide each tap by its mean size over the first steps' HR crops.

        The crops depend only on the seed, so that a resumed run uses the same divisors. They are averaged over the
        processes.
        """
        if self.features is None or not self.recipe.features.normalise:
            return
        sizes = self.features.mean_sizes(as_rgb(batch_of(step).hr.to(self.device)) for step in range(NORMALISING))
        means = self.group.average(torch.tensor(list(sizes.values()), device=self.device))
        self.features.sizes = dict(zip(sizes, means.tolist(), strict=True))

    def __call__(self, generated: Generated, hr: Tensor, step: int) -> dict[str, Tensor]:
        """Unweighted terms of SR (b, 3, H, W) and HR (b, C, H, W), float32 in [0, 1]; gradients flow to SR."""
        sr, hr, terms = generated.sr, as_rgb(hr), dict[str, Tensor]()
        target = sharpened(hr) if self.recipe.loss.sharpened else hr
        seen, wanted = sr, target
        if self.recipe.loss.colours == "ycbcr":
            seen, wanted = luma_and_differences(sr), luma_and_differences(target)
        if self.recipe.loss.content:
            terms["content"] = self.distance(*(in_range(x, self.recipe.loss.content_range) for x in (seen, wanted)))
        for name, distance in PIXEL_TERMS.items():
            if getattr(self.recipe.loss, name):
                terms[name] = distance(sr, hr)
        if self.recipe.loss.artifacts:
            terms["artifacts"] = artifacts(sr, hr, self._steady(generated))
        if self.dists is not None:
            with autocast(self.precision, self.device):
                terms["dists"] = self.dists(sr, target).mean()
        if self.recipe.loss.frequency:
            terms["frequency"] = frequency(seen, wanted)
        if self.recipe.loss.style:
            terms["style"] = self._style(sr, hr)
        if self.recipe.loss.perceptual:
            terms["perceptual"] = self._perceptual(sr, target, step)
        if self.texture is not None:
            terms["texture"] = self.texture(sr, hr, step)
        if self.recipe.loss.phase:
            terms["phase"] = phase_pattern(sr, hr, self.described.scale)
        if self.recipe.loss.plain:
            terms["plain"] = plain_l1(sr, hr)
        if self.recipe.loss.transferal:
            terms["transferal"] = self._transferal(generated)
        for name, loss in self.plugins.items():
            terms[name] = loss(sr, hr)
        return terms

    @torch.no_grad()
    def _steady(self, generated: Generated) -> Tensor | None:
        """SR of the averaged generator for the same LR; None without averaging or with a reference."""
        if self.average is None or generated.lr is None:
            return None
        return generate(self.average, self.described, generated.lr, None, self.precision, self.device).sr

    def _transferal(self, generated: Generated) -> Tensor:
        """TTSR's loss between SR's features and the transferred textures, with the extractor frozen."""
        assert generated.texture is not None
        assert isinstance(self.generator, TTSR)
        with autocast(self.precision, self.device):
            seen = self.generator.extractor.frozen(generated.sr)
        return transferal_perceptual(seen, generated.texture.levels, generated.texture.match.scores)

    def _style(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Style loss: distance between the Gram matrices of frozen features."""
        assert self.features is not None
        with autocast(self.precision, self.device):
            with torch.no_grad():
                wanted = self.features(hr)
            seen = self.features(sr)
        return style(seen, wanted, self.recipe.features.taps)

    def _perceptual(self, sr: Tensor, hr: Tensor, step: int) -> Tensor:
        """L_P between frozen features (docs/gramgan.md, "Losses"), cropped at this step's random offset."""
        assert self.features is not None
        sr, hr = (jittered(image, self.recipe.features.jitter, self.recipe.seed, step) for image in (sr, hr))
        with autocast(self.precision, self.device):
            with torch.no_grad():
                wanted = self.features(hr)
            seen = self.features(sr)
        return perceptual(seen, wanted, self.recipe.features.taps, self.recipe.features.distance, self.heads)


def weighted_sum(terms: dict[str, Tensor], recipe: Recipe) -> Tensor:
    """The generator's loss: the sum of the terms times their weights in the recipe."""
    own = recipe.loss.plugins
    return torch.stack([(own.get(name) or getattr(recipe.loss, name)) * term for name, term in terms.items()]).sum()
