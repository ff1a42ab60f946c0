"""GAN training step: generate, mask, update the discriminator, update the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from gramgan_cli.core.archs.discriminators import TAKE_LR, build_discriminator
from gramgan_cli.core.archs.discriminators.gramgan import Judgement
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.losses.adversarial import (
    gan_d,
    gan_g,
    gradient_penalty,
    lsgan_d,
    lsgan_g,
    ragan_d,
    ragan_g,
    rpgan_d,
    rpgan_g,
    wgan_d,
    wgan_g,
    zero_centred_penalty,
)
from gramgan_cli.core.losses.discriminator_perceptual import discriminator_perceptual
from gramgan_cli.core.texture.masks import texture_mask
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.generate import Generated, generate
from gramgan_cli.engines.train.steps.jitter import jittered
from gramgan_cli.engines.train.steps.optim import adam, generator_optimisers, update
from gramgan_cli.engines.train.steps.precision import autocast, resolve
from gramgan_cli.engines.train.steps.step_seed import step_seed
from gramgan_cli.engines.train.steps.terms import PictureTerms, weighted_sum
from gramgan_cli.engines.train.steps.value_range import as_rgb, in_range
from gramgan_cli.recipes.schema import Recipe

PENALTY = 10.0
"""Weight of WGAN-GP's gradient penalty (Gulrajani et al. 2017)."""

PENALTY_EVERY = 4
"""Steps from one R1 + R2 penalty to the next, which is weighted by as much (lazily, after Karras et al. 2020)."""


@dataclass(frozen=True)
class Part:
    """Part of a batch that is processed at once (gradient accumulation)."""

    batch: Batch
    """The part's crops."""
    mask: Tensor
    """Mask of the discriminator's input: (b, 1, H, W) of 0 and 1 made from HR, or a scalar 1."""
    share: float
    """Share of the process's batch, 0 to 1."""


class GanTraining:
    """Generator, discriminator, their optimisers and the step."""

    def __init__(self, generator: nn.Module, recipe: Recipe, device: torch.device, group: Group) -> None:
        self.recipe, self.device, self.group = recipe, device, group
        self.precision = resolve(recipe.compute.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.picture_terms = PictureTerms(generator, recipe, self.precision, device, group)
        side = recipe.data.hr_crop - recipe.discriminator.jitter
        scale = self.picture_terms.described.scale
        discriminator = build_discriminator(recipe.discriminator.arch, side, recipe.discriminator.nf, scale)
        discriminator = discriminator.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.generator, self.discriminator = generator, discriminator
        self.networks: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}
        betas = (recipe.optimizer.discriminator_beta1, recipe.optimizer.discriminator_beta2)
        self.g_optimisers = generator_optimisers(generator, recipe)
        self.d_adam = adam(discriminator.parameters(), recipe.optimizer.discriminator_rate, betas)
        self.optimisers: dict[str, torch.optim.Optimizer] = {**self.g_optimisers, "discriminator_adam": self.d_adam}
        self.network = torch.compile(generator) if recipe.compute.compile else generator
        self.judge = torch.compile(discriminator) if recipe.compute.compile else discriminator
        self.normalised = any(isinstance(module, nn.BatchNorm2d) for module in discriminator.modules())
        self.takes_lr = recipe.discriminator.arch in TAKE_LR

    def step(self, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """Update the discriminator, then the generator; return the unweighted loss terms, on the device."""
        parts = self._parts(batch)
        totals: dict[str, Tensor] = {}

        def learn(terms: Mapping[str, Tensor], loss: Tensor, part: Part) -> None:
            self.scaler.scale(loss * part.share).backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                totals[name] = totals.get(name, torch.zeros_like(term)) + term.detach() * part.share

        # A single part keeps its graph for G's update. Several parts generate SR again there, to save memory.
        kept = self._make_sr(parts[0]) if len(parts) == 1 else None

        # Update D on hr * mask and sr * mask.
        self.discriminator.requires_grad_(True)
        self.discriminator.zero_grad(set_to_none=True)
        for part in parts:
            sr = self._make_sr_quietly(part) if kept is None else kept.sr.detach()
            terms, loss = self._discriminator_loss(part, sr, step)
            learn(terms, loss, part)
        update(self.discriminator, [self.d_adam], self.scaler, self.group, 0.0)

        # Update G. D is frozen and only passes the gradient on to SR.
        self.discriminator.requires_grad_(False)
        self.generator.zero_grad(set_to_none=True)
        for part in parts:
            generated = self._make_sr(part) if kept is None else kept
            terms, loss = self._generator_loss(part, generated, step)
            learn(terms, loss, part)
        clip = self.recipe.optimizer.clip
        update(self.generator, list(self.g_optimisers.values()), self.scaler, self.group, clip)
        self.scaler.update()
        return totals

    def _parts(self, batch: Batch) -> list[Part]:
        """Split the batch into ``accumulate`` parts, with their masks."""
        parts = replace(batch, hr=as_rgb(batch.hr)).parts(self.recipe.optimizer.accumulate)
        return [Part(part, recipe_mask(self.recipe, part.hr), len(part.lr) / len(batch.lr)) for part in parts]

    def _make_sr(self, part: Part) -> Generated:
        """Generate SR with its autograd graph."""
        return generate(
            self.network, self.picture_terms.described, part.batch.lr, part.batch.ref, self.precision, self.device
        )

    @torch.no_grad()
    def _make_sr_quietly(self, part: Part) -> Tensor:
        """Generate SR without a graph."""
        return self._make_sr(part).sr

    def _seen(self, image: Tensor, part: Part, step: int) -> Tensor:
        """The discriminator's input from SR or HR: masked, in its range, cropped at this step's random corner."""
        seen = in_range(image * part.mask, self.recipe.discriminator.input_range)
        return jittered(seen, self.recipe.discriminator.jitter, self.recipe.seed, step)

    def _look(self, image: Tensor, part: Part) -> Judgement | Tensor:
        """Run the discriminator in the run's precision on the part's HR or SR, or on both, one after the other."""
        with autocast(self.precision, self.device):
            return self._judge(self.judge, image, part)

    def _judge(self, judge: Callable[..., Any], image: Tensor, part: Part) -> Judgement | Tensor:
        """Run ``judge`` on the image, with its LR if it takes one."""
        if not self.takes_lr:
            return cast("Judgement | Tensor", judge(image))
        lr = as_rgb(part.batch.lr)
        return cast("Tensor", judge(image, lr.repeat(len(image) // len(lr), 1, 1, 1)))

    def _logits(self, real: Tensor, fake: Tensor, part: Part) -> tuple[Tensor, Tensor]:
        """D's logits of both. Without batch norm, one pass over the concatenation gives the same and is faster."""
        if self.normalised:
            return _logit(self._look(real, part)), _logit(self._look(fake, part))
        both = _logit(self._look(torch.cat((real, fake)), part))
        return both[: len(real)], both[len(real) :]

    def _discriminator_loss(self, part: Part, sr: Tensor, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """L_D on hr * mask and sr * mask: logged terms and loss (docs/gramgan.md, "Losses")."""
        real, fake = self._seen(part.batch.hr, part, step), self._seen(sr, part, step)
        c_real, c_fake = self._logits(real, fake, part)
        form = self.recipe.loss.adversarial_form
        if form == "ragan":
            loss = ragan_d(c_real, c_fake, self.group.mean)
        elif form != "wgan-gp":
            loss = {"gan": gan_d, "rpgan": rpgan_d, "lsgan": lsgan_d, "wgan": wgan_d}[form](c_real, c_fake)
        else:
            mix = self.mix_weights(step, len(real)).view(-1, 1, 1, 1)
            penalty = gradient_penalty(lambda x: _logit(self._judge(self.discriminator, x, part)), real, fake, mix)
            loss = wgan_d(c_real, c_fake) + PENALTY * penalty
        terms = {"discriminator_own": loss, "real_logit": c_real.float().mean(), "fake_logit": c_fake.float().mean()}
        weight = self.recipe.discriminator.penalty
        if weight:  # zero on the steps between, so that the logged mean is that of R1 + R2
            due = step % PENALTY_EVERY == 0
            penalty = PENALTY_EVERY * self._flatness(real, fake, part) if due else loss.new_zeros(())
            terms["discriminator_penalty"] = penalty
            loss = loss + weight * penalty
        return terms, loss

    def _flatness(self, real: Tensor, fake: Tensor, part: Part) -> Tensor:
        """R1 at HR plus R2 at SR, in full precision."""
        total = real.new_zeros(())
        for image in (real, fake):
            image = image.detach().requires_grad_(True)
            total = total + zero_centred_penalty(_logit(self._judge(self.discriminator, image, part)), image)
        return total

    def mix_weights(self, step: int, count: int) -> Tensor:
        """Weights that mix real and fake for the gradient penalty: (count,), uniform in [0, 1).

        They depend only on (seed, step) and the process's share of the batch.
        """
        generator = torch.Generator().manual_seed(step_seed(self.recipe.seed, step))
        numbers = torch.rand(count * self.group.processes, generator=generator)
        return numbers.view(-1, self.group.processes)[:, self.group.rank].to(self.device)

    def _generator_loss(self, part: Part, generated: Generated, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """All generator terms (docs/gramgan.md, "Losses") and their weighted sum."""
        terms = self.picture_terms(generated, part.batch.hr, step) | self._judged(part, generated.sr, step)
        return terms, weighted_sum(terms, self.recipe)

    def _judged(self, part: Part, sr: Tensor, step: int) -> dict[str, Tensor]:
        """L_G and L_DP, from the frozen discriminator's outputs for SR and HR."""
        with torch.no_grad():
            real = self._look(self._seen(part.batch.hr, part, step), part)
        fake = self._look(self._seen(sr, part, step), part)
        terms: dict[str, Tensor] = {}
        if self.recipe.loss.discriminator:
            assert isinstance(real, Judgement)
            assert isinstance(fake, Judgement)
            terms["discriminator"] = discriminator_perceptual(fake[1:], real[1:])
        if self.recipe.loss.adversarial:
            form = self.recipe.loss.adversarial_form
            if form == "ragan":
                terms["adversarial"] = ragan_g(_logit(real), _logit(fake), self.group.mean)
            elif form == "rpgan":
                terms["adversarial"] = rpgan_g(_logit(real), _logit(fake))
            else:
                of_form = {"gan": gan_g, "lsgan": lsgan_g, "wgan": wgan_g, "wgan-gp": wgan_g}
                terms["adversarial"] = of_form[form](_logit(fake))
        return terms


def recipe_mask(recipe: Recipe, hr: Tensor) -> Tensor:
    """Mask of the discriminator's input (docs/gramgan.md, "Masks"): (B, 3, H, W) -> (B, 1, H, W), or a scalar 1."""
    if recipe.mask.mode == "none":
        return hr.new_ones(())
    return texture_mask(hr, recipe.mask.mode, recipe.mask.cell, recipe.mask.delta or None)


def _logit(answer: Judgement | Tensor) -> Tensor:
    """Logits of a discriminator's output, which may include feature maps."""
    return answer.logit if isinstance(answer, Judgement) else answer
