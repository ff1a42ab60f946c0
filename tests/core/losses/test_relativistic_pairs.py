"""Relativistic pairs and their gradient penalty, against formulas in NumPy and discriminators with known gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gramgan_cli.core.losses.adversarial import rpgan_d, rpgan_g, zero_centred_penalty


def test_the_losses_compare_pair_by_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 3, 1, 4, 5, generator=generator)
    difference = (real - fake).double().numpy()
    sigmoid = 1 / (1 + np.exp(-difference))
    assert float(rpgan_d(real, fake)) == pytest.approx(-np.log(sigmoid).mean(), rel=1e-6)
    assert float(rpgan_g(real, fake)) == pytest.approx(-np.log(1 - sigmoid).mean(), rel=1e-6)


def test_one_logit_per_image_is_r1() -> None:
    """C(x) = <w, x>: the gradient is w for every image."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(3, 4, 4, generator=generator)
    image = torch.rand(5, 3, 4, 4, generator=generator, requires_grad=True)
    logits = (weights * image).sum(dim=(1, 2, 3)).unsqueeze(1)
    expected = 0.5 * np.square(weights.double().numpy()).sum()
    assert float(zero_centred_penalty(logits, image)) == pytest.approx(expected, rel=1e-6)


def test_a_map_of_logits_counts_per_logit_and_trains_the_weights() -> None:
    """Each logit is 3 times the mean of its own 2 x 2 px: four gradients of 3 / 4 for each logit."""
    weight = torch.tensor(3.0, requires_grad=True)
    image = torch.rand(2, 1, 6, 6, requires_grad=True)
    penalty = zero_centred_penalty(weight * torch.nn.functional.avg_pool2d(image, 2), image)
    assert float(penalty.detach()) == pytest.approx(0.5 * 4 * 0.75**2)
    penalty.backward()
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(0.25 * 3.0)  # d/dw of w^2 / 8
