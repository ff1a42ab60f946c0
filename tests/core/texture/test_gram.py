"""Gram matrices, their packed form and losses: against float64 formulas, finite differences and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gramgan_cli.core.archs.rrdbnet import RRDBNet
from gramgan_cli.core.losses import adversarial, content
from gramgan_cli.core.losses.discriminator_perceptual import discriminator_perceptual
from gramgan_cli.core.losses.perceptual import perceptual
from gramgan_cli.core.losses.texture import patch_texture
from gramgan_cli.core.texture.gram import gram, packed_gram, unpack
from gramgan_cli.core.texture.patches import choose_positions, cut_patches, parse_selection


def numpy_gram(patch: np.ndarray, centered: bool) -> np.ndarray:
    """Gram matrix by its definition, entry by entry."""
    out = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            for y in range(patch.shape[1]):
                for x in range(patch.shape[2]):
                    va, vb = patch[a, y, x], patch[b, y, x]
                    if centered:
                        va, vb = va - patch[a].mean(), vb - patch[b].mean()
                    out[a, b] += va * vb
    return out


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("size", [4, 7])
def test_gram_is_the_definition(size: int, centered: bool) -> None:
    patch = torch.rand(2, 3, 3, size, size, dtype=torch.float64)
    mine = gram(patch, centered).numpy()
    for i in range(2):
        for j in range(3):
            np.testing.assert_allclose(mine[i, j], numpy_gram(patch[i, j].numpy(), centered), rtol=0, atol=1e-12)


def test_gram_of_white_reaches_sixteen() -> None:
    assert torch.equal(gram(torch.ones(3, 4, 4)), torch.full((3, 3), 16.0))
    assert torch.equal(gram(torch.ones(3, 4, 4), centered=True), torch.zeros(3, 3))


def test_centred_gram_does_not_see_brightness() -> None:
    patch = torch.rand(3, 4, 4, dtype=torch.float64) * 0.5
    lifted = patch + torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64).view(3, 1, 1)
    torch.testing.assert_close(gram(lifted, centered=True), gram(patch, centered=True), rtol=0, atol=1e-12)
    assert (gram(lifted) - gram(patch)).abs().min() > 0.1


def test_six_numbers_keep_the_distance_of_nine() -> None:
    a, b = (torch.rand(200, 3, 4, 4, dtype=torch.float64) for _ in range(2))
    nine = torch.linalg.vector_norm((gram(a) - gram(b)).flatten(1), dim=1)
    six = torch.linalg.vector_norm(packed_gram(a) - packed_gram(b), dim=1)
    torch.testing.assert_close(six, nine, rtol=1e-12, atol=0)
    assert six.shape == (200,)


@pytest.mark.parametrize("centered", [False, True])
def test_packed_gram_is_the_packed_definition(centered: bool) -> None:
    patches = torch.rand(2, 4, 3, 4, 4, dtype=torch.float64)
    mine = unpack(packed_gram(patches, centered))
    for i in range(2):
        for j in range(4):
            expected = numpy_gram(patches[i, j].numpy(), centered)
            np.testing.assert_allclose(mine[i, j].numpy(), expected, rtol=0, atol=1e-12)


def test_packed_gram_sends_no_gradient() -> None:
    assert not packed_gram(torch.rand(2, 3, 4, 4, requires_grad=True)).requires_grad


def test_texture_loss_is_the_mean_over_entries_and_patches() -> None:
    sr, other = torch.rand(2, 5, 3, 4, 4, dtype=torch.float64), torch.rand(2, 5, 3, 4, 4, dtype=torch.float64)
    expected = np.mean(
        [
            np.abs(numpy_gram(sr[b, k].numpy(), False) - numpy_gram(other[b, k].numpy(), False)).mean()
            for b in range(2)
            for k in range(5)
        ]
    )
    assert patch_texture(sr, packed_gram(other)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("centered", [False, True])
def test_texture_loss_moves_every_layer_and_its_gradient_is_right(centered: bool) -> None:
    torch.manual_seed(0)
    net = RRDBNet(nf=4, nb=1, gc=2).double()
    lr = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    positions = choose_positions(parse_selection("dense"), 2, 16, 16, 4)
    target = packed_gram(torch.rand(2, 16, 3, 4, 4, dtype=torch.float64), centered)

    def loss() -> torch.Tensor:
        return patch_texture(cut_patches(net(lr), positions, 4), target, centered)

    loss().backward()
    generator = torch.Generator().manual_seed(1)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        if not (
            centered and name == "conv_last.bias"
        ):  # a constant added to a channel does not change the centred Gram
            assert parameter.grad.abs().max() > 0, name
        flat = parameter.data.view(-1)
        at = int(torch.randint(len(flat), (1,), generator=generator))
        before, step = flat[at].item(), 1e-6
        with torch.no_grad():
            flat[at] = before + step
            up = loss().item()
            flat[at] = before - step
            down = loss().item()
            flat[at] = before
        assert parameter.grad.view(-1)[at].item() == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-8), name


def test_texture_target_is_a_constant() -> None:
    target = packed_gram(torch.rand(1, 2, 3, 4, 4)).requires_grad_(True)
    patch_texture(torch.rand(1, 2, 3, 4, 4, requires_grad=True), target).backward()
    assert target.grad is None


def float64_ragan(real: np.ndarray, fake: np.ndarray, real_label: float) -> float:
    """-mean(y log s(x) + (1 - y) log(1 - s(x))) on both sides."""

    def bce(x: np.ndarray, y: float) -> float:
        s = 1 / (1 + np.exp(-x))
        return float(-(y * np.log(s) + (1 - y) * np.log(1 - s)).mean())

    return bce(real - fake.mean(), real_label) + bce(fake - real.mean(), 1 - real_label)


def test_ragan_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(1, 2, (6, 1)), rng.normal(-1, 2, (6, 1))
    tensors = torch.from_numpy(real), torch.from_numpy(fake)
    assert adversarial.ragan_d(*tensors).item() == pytest.approx(float64_ragan(real, fake, 1), rel=1e-6)
    assert adversarial.ragan_g(*tensors).item() == pytest.approx(float64_ragan(real, fake, 0), rel=1e-6)


def test_ragan_takes_the_mean_it_is_given() -> None:
    """Two half batches with the global means give the whole batch's loss; with their own means they don't."""
    torch.manual_seed(0)
    real, fake = torch.randn(8, 1) + 1, torch.randn(8, 1)
    whole = adversarial.ragan_g(real, fake)
    halves, own = [], []
    for part in (slice(0, 4), slice(4, 8)):
        answers = iter((fake.mean(), real.mean()))
        halves.append(adversarial.ragan_g(real[part], fake[part], mean=lambda _, answers=answers: next(answers)))
        own.append(adversarial.ragan_g(real[part], fake[part]))
    torch.testing.assert_close(torch.stack(halves).mean(), whole)
    assert abs(torch.stack(own).mean().item() - whole.item()) > 1e-3


def test_ragan_survives_large_logits() -> None:
    huge = torch.full((2, 1), 1e4)
    assert math.isfinite(adversarial.ragan_d(-huge, huge).item())


def test_vanilla_and_wasserstein_losses_are_their_formulas() -> None:
    real, fake = torch.tensor([[0.3], [2.0]]), torch.tensor([[-1.0], [0.5]])

    def minus_log_sigmoid(x: torch.Tensor) -> float:
        return float(np.mean(np.log1p(np.exp(-x.double().numpy()))))

    expected = minus_log_sigmoid(real) + minus_log_sigmoid(-fake)
    assert adversarial.gan_d(real, fake).item() == pytest.approx(expected, rel=1e-6)
    assert adversarial.gan_g(fake).item() == pytest.approx(minus_log_sigmoid(fake), rel=1e-6)
    assert adversarial.wgan_d(real, fake).item() == pytest.approx(-0.25 - 1.15)
    assert adversarial.wgan_g(fake).item() == pytest.approx(0.25)


def test_gradient_penalty_of_a_linear_critic_is_known() -> None:
    """C(x) = w.x has gradient w everywhere, so the penalty is (|w| - 1)^2, with a gradient for w."""
    weight = torch.full((12,), 0.5, requires_grad=True)  # |w| = sqrt(3)

    def critic(x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) @ weight)[:, None]

    penalty = adversarial.gradient_penalty(
        critic, torch.rand(4, 3, 2, 2), torch.rand(4, 3, 2, 2), torch.rand(4, 1, 1, 1)
    )
    assert penalty.item() == pytest.approx((math.sqrt(3) - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert weight.grad is not None
    assert weight.grad.abs().min() > 0


def test_gradient_penalty_of_a_map_is_that_of_its_mean() -> None:
    """A critic of one logit per pixel is judged by their mean, as in the critic's loss."""
    side = 8
    weight = torch.full((3, 1, 1), 0.5)
    penalty = adversarial.gradient_penalty(
        lambda x: (x * weight).sum(1, keepdim=True),
        torch.rand(2, 3, side, side),
        torch.rand(2, 3, side, side),
        torch.rand(2, 1, 1, 1),
    )
    norm = math.sqrt(3 * side**2 * (0.5 / side**2) ** 2)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)


def test_gradient_penalty_looks_between_real_and_fake() -> None:
    """C(x) = sum x^2 has gradient 2 x, so the penalty shows where it was computed."""
    real, fake = torch.full((1, 1, 1, 1), 1.0), torch.full((1, 1, 1, 1), 5.0)
    mix = torch.full((1, 1, 1, 1), 0.25)
    penalty = adversarial.gradient_penalty(lambda x: x.square().flatten(1).sum(1, keepdim=True), real, fake, mix)
    assert penalty.item() == pytest.approx((2 * (0.25 * 1 + 0.75 * 5) - 1) ** 2)


def test_content_losses_are_their_formulas() -> None:
    sr, hr = torch.rand(2, 3, 5, 5), torch.rand(2, 3, 5, 5)
    d = sr.double().numpy() - hr.double().numpy()
    assert content.l1(sr, hr).item() == pytest.approx(np.abs(d).mean(), rel=1e-5)
    assert content.mse(sr, hr).item() == pytest.approx((d**2).mean(), rel=1e-5)
    assert content.charbonnier(sr, hr).item() == pytest.approx(np.sqrt(d**2 + 1e-6).mean(), rel=1e-5)


def test_perceptual_sums_weighted_taps_and_trains_sr_alone() -> None:
    sr = {"a": torch.rand(1, 2, 3, 3, requires_grad=True), "b": torch.rand(1, 4, 2, 2, requires_grad=True)}
    hr = {name: torch.rand_like(tap).requires_grad_(True) for name, tap in sr.items()}
    weights = {"a": 0.125, "b": 0.5}
    d = {name: sr[name].detach().double() - hr[name].detach().double() for name in sr}
    loss = perceptual(sr, hr, weights)
    assert loss.item() == pytest.approx(sum(w * d[n].abs().mean().item() for n, w in weights.items()), rel=1e-5)
    squares = sum(w * d[n].square().mean().item() for n, w in weights.items())
    assert perceptual(sr, hr, weights, "mse").item() == pytest.approx(squares, rel=1e-5)
    loss.backward()
    assert all(tap.grad is not None for tap in sr.values())
    assert all(tap.grad is None for tap in hr.values())


def test_discriminator_perceptual_sums_both_maps() -> None:
    sr = [torch.rand(1, 2, 3, 3, requires_grad=True), torch.rand(1, 4, 2, 2, requires_grad=True)]
    hr = [torch.rand_like(m).requires_grad_(True) for m in sr]
    loss = discriminator_perceptual(sr, hr)
    expected = sum((s - h).abs().mean().item() for s, h in zip(sr, hr, strict=True))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(m.grad is not None for m in sr)
    assert all(m.grad is None for m in hr)
    with pytest.raises(ValueError, match="zip"):
        discriminator_perceptual(sr, hr[:1])


def test_losses_of_bf16_values_are_computed_in_float32() -> None:
    logits = torch.tensor([[1.0], [3.0]]).bfloat16()
    assert adversarial.ragan_d(logits, -logits).dtype == torch.float32
    assert patch_texture(torch.rand(1, 1, 3, 4, 4).bfloat16(), torch.zeros(1, 1, 6)).dtype == torch.float32


def test_positions_of_each_selection() -> None:
    centre = choose_positions(parse_selection("center"), 2, 192, 192, 4)
    assert centre.tolist() == [[[94, 94]], [[94, 94]]]
    dense = choose_positions(parse_selection("dense"), 1, 10, 9, 4)
    assert dense.tolist() == [[[0, 0], [0, 4], [4, 0], [4, 4]]]
    assert choose_positions(parse_selection("dense"), 8, 192, 192, 4).shape == (8, 48 * 48, 2)
    draw = choose_positions(parse_selection("random:500"), 3, 8, 7, 4, torch.Generator().manual_seed(3))
    assert draw.shape == (3, 500, 2)
    assert set(draw[..., 0].unique().tolist()) == set(range(5))
    assert set(draw[..., 1].unique().tolist()) == set(range(4))
    assert not torch.equal(draw[0], draw[1])
    again = choose_positions(parse_selection("random:500"), 3, 8, 7, 4, torch.Generator().manual_seed(3))
    assert torch.equal(draw, again)


@pytest.mark.parametrize("text", ["centre", "random", "random:0", "random:-1", "random:x", ""])
def test_unknown_selection_says_what_there_is(text: str) -> None:
    with pytest.raises(Exception, match=r"texture\.patches.*random:K"):
        parse_selection(text)


def test_cut_patches_are_slices_and_keep_the_graph() -> None:
    images = torch.rand(2, 3, 11, 9, requires_grad=True)
    positions = torch.tensor([[[0, 0], [7, 5], [3, 2]], [[1, 1], [2, 3], [7, 0]]])
    patches = cut_patches(images, positions, 4)
    for b in range(2):
        for k in range(3):
            y, x = positions[b, k].tolist()
            assert torch.equal(patches[b, k], images[b, :, y : y + 4, x : x + 4])
    patches.sum().backward()
    counts = torch.zeros(2, 11, 9)
    for b in range(2):
        for y, x in positions[b].tolist():
            counts[b, y : y + 4, x : x + 4] += 1
    assert images.grad is not None
    assert torch.equal(images.grad, counts[:, None].expand(-1, 3, -1, -1))


def test_a_patch_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        choose_positions(parse_selection("dense"), 1, 3, 9, 4)
