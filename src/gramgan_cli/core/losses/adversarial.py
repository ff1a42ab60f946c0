"""Adversarial losses on discriminator logits of shape (B, 1) or (B, 1, H, W).

All losses are computed in float32, whatever the precision of the logits. For the generator's update, the caller freezes
the discriminator and detaches the logits of the real images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Mean = Callable[[Tensor], Tensor]
"""Mean over the batch. Data-parallel training passes a differentiable mean over all ranks."""


def _bce(logits: Tensor, target: float) -> Tensor:
    """Return the binary cross-entropy of logits against one label, averaged over the batch."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _relativistic(real: Tensor, fake: Tensor, mean: Mean) -> tuple[Tensor, Tensor]:
    """Return r = C(real) - mean C(fake) and f = C(fake) - mean C(real)."""
    real, fake = real.float(), fake.float()
    return real - mean(fake), fake - mean(real)


def ragan_d(real: Tensor, fake: Tensor, mean: Mean = torch.mean) -> Tensor:
    """Relativistic average GAN, discriminator loss: L_D = BCE(r, 1) + BCE(f, 0) (Wang et al. 2018, eq. 1)."""
    r, f = _relativistic(real, fake, mean)
    return _bce(r, 1.0) + _bce(f, 0.0)


def ragan_g(real: Tensor, fake: Tensor, mean: Mean = torch.mean) -> Tensor:
    """Relativistic average GAN, generator loss: L_G = BCE(r, 0) + BCE(f, 1) (Wang et al. 2018, eq. 2)."""
    r, f = _relativistic(real, fake, mean)
    return _bce(r, 0.0) + _bce(f, 1.0)


def gan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Standard GAN, discriminator loss: L_D = BCE(C(real), 1) + BCE(C(fake), 0) (Goodfellow et al. 2014)."""
    return _bce(real.float(), 1.0) + _bce(fake.float(), 0.0)


def gan_g(fake: Tensor) -> Tensor:
    """Non-saturating GAN, generator loss: L_G = BCE(C(fake), 1) = -log D(G(z)) (Goodfellow et al. 2014, section 3)."""
    return _bce(fake.float(), 1.0)


def rpgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairs, discriminator loss: mean of -log sigmoid(C(real) - C(fake)) (RSGAN).

    Source: Jolicoeur-Martineau 2018, "The relativistic discriminator", section 4. ``real`` and ``fake`` at the same
    position are a pair: HR and SR of the same LR.
    """
    return F.softplus(fake.float() - real.float()).mean()


def rpgan_g(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairs, generator loss: mean of -log sigmoid(C(fake) - C(real)); see :func:`rpgan_d`."""
    return F.softplus(real.float() - fake.float()).mean()


def lsgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares GAN, discriminator loss: (mean (C(real) - 1)^2 + mean C(fake)^2) / 2 (Mao et al. 2017, eq. 9)."""
    return ((real.float() - 1).square().mean() + fake.float().square().mean()) / 2


def lsgan_g(fake: Tensor) -> Tensor:
    """Least-squares GAN, generator loss: L_G = mean (C(fake) - 1)^2 / 2 (Mao et al. 2017, eq. 9)."""
    return (fake.float() - 1).square().mean() / 2


def wgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Wasserstein critic loss without the gradient penalty: mean C(fake) - mean C(real) (Gulrajani 2017, eq. 3)."""
    return fake.float().mean() - real.float().mean()


def wgan_g(fake: Tensor) -> Tensor:
    """Wasserstein generator loss: L_G = -mean C(fake)."""
    return -fake.float().mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Return the mean of (|grad C(x)| - 1)^2 at x = mix real + (1 - mix) fake, unweighted (Gulrajani 2017, eq. 3).

    If the critic returns a map of logits, C(x) is their mean, as it is in :func:`wgan_d`.

    Args:
        critic: images (B, C, H, W) -> logits, (B, 1) or (B, 1, h, w).
        real, fake: images (B, C, H, W); they receive no gradient.
        mix: (B, 1, 1, 1), drawn uniformly from [0, 1].
    """
    between = (mix * real.detach() + (1 - mix) * fake.detach()).requires_grad_(True)
    judged = critic(between).flatten(1).mean(1)
    (gradient,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
    norm: Tensor = torch.linalg.vector_norm(gradient.float().flatten(1), dim=1)
    return (norm - 1).square().mean()


def zero_centred_penalty(logits: Tensor, image: Tensor) -> Tensor:
    """Return half the squared gradient of the sum of the logits, divided by their number: R1 for HR, R2 for SR.

    With one logit per image this is |grad C(x)|^2 / 2 (Mescheder et al. 2018, section 4.1). R1 and R2 together make
    the training of relativistic pairs converge (R3GAN: Huang et al. 2024, section 2). For a map of logits the form is
    ours: the gradients of neighbouring logits add up, so D may tell details apart more freely than whole regions.

    Args:
        logits: discriminator's output for ``image``, with its graph.
        image: (B, C, H, W), requires gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.float().square().sum() / logits.numel() / 2
