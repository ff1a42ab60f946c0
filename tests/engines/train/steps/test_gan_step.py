"""One step of GAN training: against a plain implementation, and two processes against one."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from gan_reference import plain_gram, plain_step
from safetensors.torch import load_file
from tiny_gan import CPU, assert_parts_equal_the_whole, free_port, gradients, make_batch, make_training, tiny

from gramgan_cli.core import archs
from gramgan_cli.core.archs.discriminators import build_discriminator
from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.engines.train.parallel.group import Group, TorchGroup
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import recipe_mask
from gramgan_cli.engines.train.steps.jitter import jitter_corner, jittered
from gramgan_cli.engines.train.steps.step_seed import step_seed
from gramgan_cli.engines.train.steps.texture_term import TextureTerm
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.schema import Recipe


def full_grams(bank: Path, centered: bool) -> torch.Tensor:
    """Gram matrices (N, 3, 3) of all entries, computed from the patches in the file."""
    return torch.stack(
        [plain_gram(patch.float() / 255, centered) for patch in load_file(bank)["patches"].flatten(0, 1)]
    )


def seen_from_a_corner(image: torch.Tensor, jitter: int, step: int) -> torch.Tensor:
    """The discriminator's input for a recipe with seed 0."""
    if jitter == 0:
        return image
    top, left = torch.randint(0, jitter, (2,), generator=torch.Generator().manual_seed(step))
    return image[:, :, top:, left:][:, :, : image.shape[2] - jitter, : image.shape[3] - jitter]


@pytest.mark.parametrize(("centered", "jitter"), [(False, 0), (True, 0), (True, 4)])
def test_the_step_equals_a_plain_implementation(bank: Path, centered: bool, jitter: int) -> None:
    recipe = tiny(bank, texture={"centered": centered}, discriminator={"jitter": jitter})
    ours, theirs = make_training(recipe), make_training(recipe)
    g_adam = torch.optim.Adam(theirs.networks["generator"].parameters(), lr=1e-4)
    d_adam = torch.optim.Adam(theirs.networks["discriminator"].parameters(), lr=1e-4)
    grams = full_grams(bank, centered)
    for step in range(3):
        batch = make_batch(step)
        for name, network in theirs.networks.items():  # Adam amplifies rounding errors of gradients near zero
            network.load_state_dict(ours.networks[name].state_dict())
        terms = ours.step(batch, step)
        top, left = (torch.rand(2, generator=torch.Generator().manual_seed(step)) * 4).long().tolist()  # seed 0
        plain, *expected = plain_step(
            *theirs.networks.values(),
            g_adam,
            d_adam,
            batch.lr,
            batch.hr,
            grams,
            4,
            (top, left),
            centered,
            cell=11,
            delta=0.005,
            view=partial(seen_from_a_corner, jitter=jitter, step=step),
        )
        for name, value in plain.items():
            assert float(terms[name]) == pytest.approx(value, rel=1e-4, abs=1e-6), (step, name)
        for ours_now, theirs_now in zip(gradients(ours), expected, strict=True):
            difference = torch.linalg.vector_norm(ours_now - theirs_now)
            assert difference <= 1e-4 * torch.linalg.vector_norm(theirs_now), step


def test_a_sliding_mask_has_its_own_threshold(bank: Path) -> None:
    """A deviation of luminance of 0.012 is above the grid's threshold and below Beby-GAN's (docs/gramgan.md)."""
    stripes = 0.5 + 0.012 * torch.tensor([1.0, -1.0]).repeat(16).expand(1, 3, 32, 32)
    assert recipe_mask(tiny(bank, mask={"mode": "grid"}), stripes).min() == 1
    assert recipe_mask(tiny(bank, mask={"mode": "sliding"}), stripes).max() == 0
    assert recipe_mask(tiny(bank, mask={"mode": "sliding", "delta": 0.01}), stripes).min() == 1


def test_one_pass_of_d_over_both_equals_two() -> None:
    torch.manual_seed(0)
    discriminator = DiscriminatorVGGStyle(nf=8).double()
    real, fake = torch.rand(2, 3, 3, 40, 40, dtype=torch.float64)
    both = discriminator(torch.cat((real, fake)))
    for whole, parts in zip(both, zip(discriminator(real), discriminator(fake), strict=True), strict=True):
        assert torch.allclose(whole, torch.cat(parts), atol=1e-12)


def test_accumulation_changes_nothing_but_the_batch_means(bank: Path) -> None:
    """Without relativistic means, a batch in parts gives the gradient of the whole batch."""
    recipe = tiny(bank, loss={"adversarial": 0.01, "adversarial_form": "gan"})
    assert_parts_equal_the_whole(recipe, 1e-7)


def test_only_the_generator_learns_in_its_turn(bank: Path) -> None:
    """The discriminator's gradients after a step are those of its own loss, without the generator's terms."""
    recipe = tiny(bank)
    training = make_training(recipe)
    batch = make_batch(5)
    before = [p.clone() for p in training.networks["discriminator"].parameters()]
    sr = training.networks["generator"](batch.lr).detach()
    mask = recipe_mask(recipe, batch.hr)
    training.step(batch, 0)
    torch.manual_seed(1)
    twin = build_discriminator("gramgan", 32, 4)
    for own, value in zip(twin.parameters(), before, strict=True):
        own.data.copy_(value)
    real, fake = twin(batch.hr * mask).logit, twin(sr * mask).logit
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    (bce(real - fake.mean(), torch.ones_like(real)) + bce(fake - real.mean(), torch.zeros_like(fake))).backward()
    for a, b in zip(training.networks["discriminator"].parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("patches", ["center", "random:5", "dense"])
@pytest.mark.parametrize("candidates", ["database", "image", "both"])
def test_texture_alone_moves_every_layer(bank: Path, patches: str, candidates: str) -> None:
    only = {"content": 0.0, "discriminator": 0.0, "adversarial": 0.0, "texture": 1.0}
    recipe = tiny(bank, loss=only, discriminator={"arch": "none"})
    recipe = merge(recipe, {"texture": {"patches": patches, "candidates": candidates}})
    torch.manual_seed(0)
    generator = archs.build("rrdbnet", {"nf": 8, "nb": 1, "gc": 4})
    before = {name: p.detach().clone() for name, p in generator.named_parameters()}
    ContentTraining(generator, recipe, CPU, Group()).step(make_batch(0), 0)
    for name, parameter in generator.named_parameters():
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("discriminator", ["srgan", "ttsr"])
def test_other_discriminators_and_forms_step(bank: Path, discriminator: str) -> None:
    form = {"srgan": "gan", "ttsr": "wgan-gp"}[discriminator]
    loss = {"discriminator": 0.0, "texture": 0.0, "adversarial": 1.0, "adversarial_form": form}
    training = make_training(tiny(bank, loss=loss, discriminator={"arch": discriminator}))
    before = [p.clone() for p in training.networks["generator"].parameters()]
    terms = training.step(make_batch(0), 0)
    assert all(torch.isfinite(term) for term in terms.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, training.networks["generator"].parameters(), strict=True))


# Two processes against one


def share_of(batch: Batch, rank: int) -> Batch:
    return Batch(batch.lr[rank::2].contiguous(), batch.hr[rank::2].contiguous(), batch.names[rank::2])


def one_of_two(rank: int, port: int, folder: Path, recipe: Recipe, steps: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    training = make_training(recipe, TorchGroup())
    collected = []
    for step in range(steps):
        for name in ("generator", "discriminator"):  # each step starts from the single process's networks
            training.networks[name].load_state_dict(torch.load(folder / f"{name}{step}.pt"))
        training.step(share_of(make_batch(step), rank), step)
        collected.append(gradients(training))
    torch.save(collected, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("patches", ["dense", "random:6"])
def test_two_processes_make_the_gradients_of_one(bank: Path, tmp_path: Path, patches: str) -> None:
    recipe = tiny(bank, texture={"patches": patches}, loss={"perceptual": 1.0}, features={"weights": "random"})
    recipe = merge(recipe, {"features": {"taps": {"conv1_2": 0.5, "conv2_2": 0.5}}})
    steps = 3
    single = make_training(recipe)
    expected = []
    for step in range(steps):
        for name in ("generator", "discriminator"):
            torch.save(single.networks[name].state_dict(), tmp_path / f"{name}{step}.pt")
        single.step(make_batch(step), step)
        expected.append(gradients(single))
    mp.spawn(one_of_two, (free_port(), tmp_path, recipe, steps), nprocs=2)
    for rank in range(2):
        for step, (ours, theirs) in enumerate(zip(torch.load(tmp_path / f"rank{rank}.pt"), expected, strict=True)):
            for a, b in zip(ours, theirs, strict=True):
                assert torch.linalg.vector_norm(a - b) <= 1e-5 * torch.linalg.vector_norm(b), (rank, step)


def test_runs_of_other_seeds_draw_other_numbers(bank: Path) -> None:
    """Torch's CPU generator uses 32 bits of a seed, which must encode both the run's seed and the step."""
    corners = {seed: [jitter_corner(16, seed, step) for step in range(8)] for seed in (0, 1, 2, 2**32 - 1)}
    assert len({tuple(drawn) for drawn in corners.values()}) == 4
    hr = torch.rand(2, 3, 32, 32)
    positions = [
        TextureTerm(tiny(bank, seed=seed, texture={"patches": "random:4"}), CPU, Group()).positions(hr, 3)
        for seed in (0, 1)
    ]
    assert not torch.equal(*positions)
    mixes = [make_training(tiny(bank, seed=seed)).mix_weights(3, 4) for seed in (0, 1)]
    assert not torch.equal(*mixes)
    drawn = {step_seed(seed, step, rank, 2) for seed in range(3) for step in range(500) for rank in range(2)}
    assert len(drawn) == 3000


def test_the_features_see_each_step_from_its_own_corner() -> None:
    image = torch.arange(2 * 3 * 12 * 12, dtype=torch.float32).view(2, 3, 12, 12)
    assert jittered(image, 0, 1, 5) is image
    for step in range(4):
        top, left = jitter_corner(4, 1, step)
        assert torch.equal(jittered(image, 4, 1, step), image[:, :, top : top + 8, left : left + 8])
