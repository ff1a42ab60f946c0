"""Training without a discriminator: the generator learns from the pixels, features or textures of HR."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gramgan_cli.core.data.crops import Batch
from gramgan_cli.engines.distributed import Group
from gramgan_cli.engines.picture_terms import PictureTerms, weighted_sum
from gramgan_cli.engines.precision import autocast, resolve
from gramgan_cli.recipes.schema import Recipe


def adam(network: nn.Module, rate: float, recipe: Recipe) -> torch.optim.Adam:
    """Adam as the recipe sets it, fused into one kernel per device."""
    betas = (recipe.optimizer.beta1, recipe.optimizer.beta2)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, fused=True)


class ContentTraining:
    """Generator and optimiser of a stage without a discriminator."""

    def __init__(self, generator: nn.Module, recipe: Recipe, device: torch.device, group: Group) -> None:
        self.recipe, self.device, self.group = recipe, device, group
        self.precision = resolve(recipe.compute.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.networks: dict[str, nn.Module] = {"generator": generator}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator_adam": adam(generator, recipe.optimizer.rate, recipe)
        }
        self.generate = torch.compile(generator) if recipe.compute.compile else generator
        self.picture_terms = PictureTerms(recipe, self.precision, device, group)

    def step(self, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """One update on this process's share of the batch; returns the unweighted loss terms, on the device."""
        generator, optimiser = self.networks["generator"], self.optimisers["generator_adam"]
        parts = self.recipe.optimizer.accumulate
        totals: dict[str, Tensor] = {}
        optimiser.zero_grad(set_to_none=True)
        for lr, hr in zip(batch.lr.chunk(parts), batch.hr.chunk(parts), strict=True):
            with autocast(self.precision, self.device):
                sr = self.generate(lr)
            terms = self.picture_terms(sr.float(), hr, step)
            share = lr.shape[0] / batch.lr.shape[0]
            self.scaler.scale(weighted_sum(terms, self.recipe) * share).backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                totals[name] = totals.get(name, torch.zeros_like(term)) + term.detach() * share
        self.group.average_gradients(generator.parameters())
        self.scaler.unscale_(optimiser)
        if self.recipe.optimizer.clip > 0:
            torch.nn.utils.clip_grad_norm_(generator.parameters(), self.recipe.optimizer.clip)
        self.scaler.step(optimiser)
        self.scaler.update()
        return totals
