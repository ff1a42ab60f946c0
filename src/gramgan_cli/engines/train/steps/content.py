"""Training step without a discriminator: pixel, feature and texture losses against HR."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gramgan_cli.core.data.crops import Batch
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.generate import generate
from gramgan_cli.engines.train.steps.optim import generator_optimisers, update
from gramgan_cli.engines.train.steps.precision import resolve
from gramgan_cli.engines.train.steps.terms import PictureTerms, weighted_sum
from gramgan_cli.recipes.schema import Recipe


class ContentTraining:
    """Generator, optimisers and step of a stage without a discriminator."""

    def __init__(self, generator: nn.Module, recipe: Recipe, device: torch.device, group: Group) -> None:
        self.recipe, self.device, self.group = recipe, device, group
        self.precision = resolve(recipe.compute.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.networks: dict[str, nn.Module] = {"generator": generator}
        self.optimisers = generator_optimisers(generator, recipe)
        self.network = torch.compile(generator) if recipe.compute.compile else generator
        self.picture_terms = PictureTerms(generator, recipe, self.precision, device, group)

    def step(self, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """Do one update on this process's share of the batch; return the unweighted loss terms, on the device."""
        generator, optimisers = self.networks["generator"], list(self.optimisers.values())
        parts = self.recipe.optimizer.accumulate
        totals: dict[str, Tensor] = {}
        generator.zero_grad(set_to_none=True)
        for part in batch.parts(parts):
            generated = generate(
                self.network, self.picture_terms.described, part.lr, part.ref, self.precision, self.device
            )
            terms = self.picture_terms(generated, part.hr, step)
            share = part.lr.shape[0] / batch.lr.shape[0]
            self.scaler.scale(weighted_sum(terms, self.recipe) * share).backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                totals[name] = totals.get(name, torch.zeros_like(term)) + term.detach() * share
        update(generator, optimisers, self.scaler, self.group, self.recipe.optimizer.clip)
        self.scaler.update()
        return totals
