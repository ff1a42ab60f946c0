"""Setting up a stage of training: photos, networks, optimisers, averaged weights and progress."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.archs.spandrel_networks import ARCH as OTHERS
from gramgan_cli.core.archs.ttsr import TTSR
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.photo_set import PhotoSet, read_photos
from gramgan_cli.engines.train.run.checkpoint import Progress, load_state
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.engines.train.steps.terms import PictureTerms
from gramgan_cli.engines.train.steps.texture_term import bank_checksum
from gramgan_cli.engines.train.warm_start import FIRST_STAGE_END, described_start, initial_weights, start_model
from gramgan_cli.recipes.schema import Recipe


class Training(Protocol):
    """Interface of the two kinds of training: networks, optimisers and one step."""

    networks: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    picture_terms: PictureTerms
    scaler: torch.amp.GradScaler

    def step(self, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """Do one update; return the unweighted loss terms, scalars on the device."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """One stage of training, ready to start or to resume."""

    recipe: Recipe
    folder: RunFolder
    device: torch.device
    callbacks: TrainCallbacks
    group: Group
    descriptor: Descriptor
    header: WeightsHeader
    """Header of the weights that the run saves, without the training record."""
    photos: PhotoSet
    generator: nn.Module
    average: nn.Module
    """The generator with averaged weights (EMA), or the generator itself without averaging."""
    training: Training
    progress: Progress

    @property
    def saved_networks(self) -> dict[str, nn.Module]:
        """Networks whose tensors are saved in the state, by name."""
        extra = {"average": self.average} if self.average is not self.generator else {}
        return {**self.training.networks, **extra}


def set_up(
    recipe: Recipe, folder: RunFolder, device: torch.device, callbacks: TrainCallbacks, group: Group, resume: bool
) -> Setup:
    """Read the photos, build the networks and load the initial weights, or the saved state if ``resume``.

    Raises:
        GramganError: photos, weights or state are missing, damaged or don't fit.
    """
    if recipe.compute.threads:
        torch.set_num_threads(recipe.compute.threads)
    torch.manual_seed(recipe.seed)
    arch = recipe.network["arch"]
    hyperparameters = archs.complete(arch, {key: value for key, value in recipe.network.items() if key != "arch"})
    descriptor = archs.describe(arch, hyperparameters)
    photos = read_photos(recipe, descriptor.scale, callbacks, group)
    progress = Progress(photos=photos.checksum, bank=bank_checksum(recipe))
    begun = resume and folder.state_file.is_file()
    if arch == OTHERS:  # spandrel derives the network from a file's tensors: the last weights, or the initial ones
        generator = interop.trainable(start_model(str(folder.weights("last")) if begun else recipe.init).network)
    else:
        generator = archs.build(arch, hyperparameters)
    if not begun:
        _load_start(generator, recipe, folder, progress, callbacks)
    generator = generator.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    kind = ContentTraining if recipe.discriminator.arch == "none" else GanTraining
    training: Training = kind(generator, recipe, device, group)
    training.picture_terms.normalise(photos.sampler.batch)
    average = copy.deepcopy(generator).eval() if recipe.optimizer.ema else generator
    if average is not generator:
        training.picture_terms.average = average
    header = WeightsHeader(arch, hyperparameters, descriptor.scale)
    made = Setup(
        recipe,
        folder,
        device,
        callbacks,
        group,
        descriptor,
        header,
        photos,
        generator,
        average,
        training,
        progress,
    )
    return _resumed(made) if resume else made


def _load_start(
    generator: nn.Module, recipe: Recipe, folder: RunFolder, progress: Progress, callbacks: TrainCallbacks
) -> None:
    """Load the initial weights and report which they are."""
    if recipe.init in ("", "none"):
        if isinstance(generator, TTSR) and recipe.features.weights == "imagenet":
            from gramgan_cli.core.features import official_weights  # imports torchvision, which most runs don't need

            generator.extractor.load_vgg19(official_weights("vgg19"))
            callbacks.on_note("Starts from random weights, and from VGG19's in the texture extractor.")
        else:
            callbacks.on_note("Starts from random weights.")
        return
    start = start_model(initial_weights(recipe, folder))
    theirs = start.header.arch == OTHERS
    generator.load_state_dict((interop.trainable(start.network) if theirs else start.network).state_dict())
    progress.origin = {"model": start.name, **start.header.training}
    progress.licence = start.header.licence
    name = "the first stage" if recipe.init == FIRST_STAGE_END else start.name
    callbacks.on_note(described_start(name, start.header))


def _resumed(made: Setup) -> Setup:
    """Load the last saved state, if there is one: a run killed before its first save starts again at step 0."""
    progress = made.progress
    if made.folder.state_file.is_file():
        progress = load_state(made.folder.state_file, made.saved_networks, made.training.optimisers)
        _check_inputs(progress, made)
        progress.photos, progress.bank = made.progress.photos, made.progress.bank
        if made.training.scaler.is_enabled():
            made.training.scaler.load_state_dict(progress.scaler)
    if made.group.is_main:
        made.folder.rewind_metrics(progress.step)
    made.callbacks.on_note(f"Resumed from step {progress.step}.")
    return dataclasses.replace(made, progress=progress)


def _check_inputs(saved: Progress, made: Setup) -> None:
    """Raise GramganError if the photos or the texture bank changed since the state was saved."""
    now = made.progress
    if saved.photos not in ("", now.photos):
        changed = "The photos are not those"
    elif saved.bank not in ("", now.bank):
        changed = f"The texture bank {made.recipe.texture.db} is not the one"
    else:
        return
    raise GramganError(
        f"{changed} that this run began with, so it can't go on exactly.",
        f"Put the same files back, or start another run with `init` {made.folder.weights('last')}.",
    )
