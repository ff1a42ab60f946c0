"""A step with the detail discriminator, relativistic pairs and R1 + R2, against a plain implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_gan import assert_parts_equal_the_whole, assert_same_gradients, make_batch, make_training, tiny
from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.archs.discriminators.detail import DetailDiscriminator
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.schema import Recipe

PENALTY = 0.01


def pairs(bank: Path) -> Recipe:
    """A tiny recipe with nothing but an L1 term and the adversarial one."""
    loss = {"discriminator": 0.0, "texture": 0.0, "adversarial": 0.5, "adversarial_form": "rpgan"}
    mask = {"mode": "none"}
    return tiny(bank, loss=loss, mask=mask, discriminator={"arch": "detail", "penalty": PENALTY, "jitter": 0})


def squared_gradient(twin: DetailDiscriminator, image: Tensor, lr: Tensor) -> Tensor:
    """Sum of squares of the gradient of all logits' sum, per logit."""
    image = image.clone().requires_grad_(True)
    logits = twin(image, lr)
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.square().sum() / logits.numel()


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
def test_the_discriminators_gradient_is_that_of_a_plain_implementation(bank: Path, step: int) -> None:
    """Every fourth step has four times the penalty; the others have none."""
    training = make_training(pairs(bank))
    batch = make_batch(5)
    own = training.networks["discriminator"]
    assert isinstance(own, DetailDiscriminator)
    twin = DetailDiscriminator(4, nf=4)
    twin.load_state_dict(own.state_dict())
    sr = training.networks["generator"](batch.lr).detach()
    loss = torch.log1p(torch.exp(twin(sr, batch.lr) - twin(batch.hr, batch.lr))).mean()
    penalty = sum(squared_gradient(twin, image, batch.lr) for image in (batch.hr, sr)) / 2
    if step % 4 == 0:
        loss = loss + 4 * PENALTY * penalty
    loss.backward()
    terms = training.step(batch, step)
    logged = 4 * float(penalty.detach()) if step % 4 == 0 else 0.0
    assert float(terms["discriminator_penalty"]) == pytest.approx(logged, rel=1e-4)
    assert_same_gradients(own, twin, 1e-6)


def test_accumulation_gives_the_gradients_of_the_whole_batch(bank: Path) -> None:
    """The gradient of the last bias is rounding alone, because a pair's difference cancels it."""
    assert_parts_equal_the_whole(pairs(bank), 1e-6)


def test_the_generator_hears_hr_and_sr_of_the_same_lr(bank: Path) -> None:
    training = make_training(pairs(bank))
    batch = make_batch(2)
    sr = training.networks["generator"](batch.lr).detach()
    terms = training.step(batch, 1)
    judge = training.networks["discriminator"]
    with torch.no_grad():
        expected = F.softplus(judge(batch.hr, batch.lr) - judge(sr, batch.lr)).mean()
    assert float(terms["adversarial"]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"discriminator": {"jitter": 4}}, "whole crops"),
        ({"mask": {"mode": "grid"}}, "whole crops"),
        ({"discriminator": {"input_range": "signed"}}, r"in \[0, 1\]"),
    ],
)
def test_settings_that_would_part_hr_from_its_lr_are_refused(bank: Path, changes: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_recipe(merge(pairs(bank), changes))
