"""Adversarial losses over the discriminator's logits, (B, 1) each.

All of them compute in float32 whatever the precision of the logits. Where only the generator learns, the caller runs
the discriminator frozen and detaches the logits of the real images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Mean = Callable[[Tensor], Tensor]
"""Mean over the batch. Data-parallel training passes one that runs over all ranks and lets gradients through."""


def _bce(logits: Tensor, target: float) -> Tensor:
    """Binary cross-entropy of logits against one label, mean over the batch."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _relativistic(real: Tensor, fake: Tensor, mean: Mean) -> tuple[Tensor, Tensor]:
    """r = C(real) - mean C(fake) and f = C(fake) - mean C(real)."""
    real, fake = real.float(), fake.float()
    return real - mean(fake), fake - mean(real)


def ragan_d(real: Tensor, fake: Tensor, mean: Mean = torch.mean) -> Tensor:
    """L_D = BCE(r, 1) + BCE(f, 0): relativistic average GAN, the discriminator's side (Wang et al. 2018, eq. 1)."""
    r, f = _relativistic(real, fake, mean)
    return _bce(r, 1.0) + _bce(f, 0.0)


def ragan_g(real: Tensor, fake: Tensor, mean: Mean = torch.mean) -> Tensor:
    """L_G = BCE(r, 0) + BCE(f, 1): relativistic average GAN, the generator's side (Wang et al. 2018, eq. 2)."""
    r, f = _relativistic(real, fake, mean)
    return _bce(r, 0.0) + _bce(f, 1.0)


def gan_d(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = BCE(C(real), 1) + BCE(C(fake), 0) (Goodfellow et al. 2014)."""
    return _bce(real.float(), 1.0) + _bce(fake.float(), 0.0)


def gan_g(fake: Tensor) -> Tensor:
    """L_G = BCE(C(fake), 1): -log D(G(z)), the non-saturating form (Goodfellow et al. 2014, section 3)."""
    return _bce(fake.float(), 1.0)


def lsgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = (mean (C(real) - 1)^2 + mean C(fake)^2) / 2: least squares (Mao et al. 2017, eq. 9)."""
    return ((real.float() - 1).square().mean() + fake.float().square().mean()) / 2


def lsgan_g(fake: Tensor) -> Tensor:
    """L_G = mean (C(fake) - 1)^2 / 2 (Mao et al. 2017, eq. 9)."""
    return (fake.float() - 1).square().mean() / 2


def wgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = mean C(fake) - mean C(real), to which the gradient penalty is added (Gulrajani et al. 2017, eq. 3)."""
    return fake.float().mean() - real.float().mean()


def wgan_g(fake: Tensor) -> Tensor:
    """L_G = -mean C(fake)."""
    return -fake.float().mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (|grad C(x)| - 1)^2 at x = mix real + (1 - mix) fake (Gulrajani et al. 2017, eq. 3), weight not included.

    Args:
        critic: images (B, C, H, W) -> logits.
        real, fake: images (B, C, H, W); no gradient goes into them.
        mix: (B, 1, 1, 1), drawn uniformly from [0, 1].
    """
    between = (mix * real.detach() + (1 - mix) * fake.detach()).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm: Tensor = torch.linalg.vector_norm(gradient.float().flatten(1), dim=1)
    return (norm - 1).square().mean()
