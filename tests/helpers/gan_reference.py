"""A plain reimplementation of Gram-GAN's step: five discriminator passes, one patch at a time, no shared code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def plain_mask(hr: Tensor, cell: int, delta: float) -> Tensor:
    """The grid mask, cell by cell."""
    mask = torch.zeros(hr.shape[0], 1, *hr.shape[2:])
    for b in range(hr.shape[0]):
        for top in range(0, hr.shape[2], cell):
            for left in range(0, hr.shape[3], cell):
                block = hr[b, :, top : top + cell, left : left + cell]
                if block.flatten(1).std(dim=1, unbiased=False).mean() >= delta:
                    mask[b, :, top : top + cell, left : left + cell] = 1
    return mask


def plain_gram(patch: Tensor, centered: bool) -> Tensor:
    """Gram matrix (3, 3) of a patch (3, h, w), entry by entry, optionally after subtracting each channel's mean."""
    if centered:
        patch = torch.stack([channel - channel.mean() for channel in patch])
    return torch.stack([torch.stack([(patch[i] * patch[j]).sum() for j in range(3)]) for i in range(3)])


def plain_texture(sr: Tensor, hr: Tensor, bank: Tensor, size: int, corner: tuple[int, int], centered: bool) -> Tensor:
    """L_PT over all patches of the grid from ``corner``; ``bank`` is full Grams (N, 3, 3); both weights are 0.5."""
    terms = []
    for b in range(sr.shape[0]):
        for top in range(corner[0], sr.shape[2] - size + 1, size):
            for left in range(corner[1], sr.shape[3] - size + 1, size):
                e = plain_gram(sr[b, :, top : top + size, left : left + size], centered)
                g = plain_gram(hr[b, :, top : top + size, left : left + size], centered)
                score = 0.5 * (bank - g).square().sum((1, 2)) + 0.5 * (bank - e).square().sum((1, 2))
                best = bank[score.argmin()].detach()
                terms.append((e - best).abs().mean())
    return torch.stack(terms).mean()


def _bce(x: Tensor, label: float) -> Tensor:
    p = torch.sigmoid(x)
    return -(label * torch.log(p) + (1 - label) * torch.log(1 - p)).mean()


def plain_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_adam: torch.optim.Optimizer,
    d_adam: torch.optim.Optimizer,
    lr: Tensor,
    hr: Tensor,
    bank: Tensor,
    size: int,
    corner: tuple[int, int],
    centered: bool,
    cell: int,
    delta: float,
    view: Callable[[Tensor], Tensor],
) -> tuple[dict[str, float], Tensor, Tensor]:
    """One step with content 1, texture 1, discriminator 1, adversarial 0.005; updates both networks.

    ``view`` crops D's input. Returns the terms and the concatenated gradients of G and of D.
    """
    sr = generator(lr)
    mask = plain_mask(hr, cell, delta)
    d_adam.zero_grad()
    real, fake = discriminator(view(hr * mask))[0], discriminator(view(sr * mask).detach())[0]
    d_loss = _bce(real - fake.mean(), 1) + _bce(fake - real.mean(), 0)
    d_loss.backward()
    d_gradient = torch.cat([p.grad.flatten() for p in discriminator.parameters()])
    d_adam.step()

    g_adam.zero_grad()
    real = discriminator(view(hr * mask))[0].detach()
    fake = discriminator(view(sr * mask))[0]
    adversarial = _bce(real - fake.mean(), 0) + _bce(fake - real.mean(), 1)
    sr_maps, hr_maps = discriminator(view(sr * mask))[1:], discriminator(view(hr * mask))[1:]
    features = sum(F.l1_loss(a, b.detach()) for a, b in zip(sr_maps, hr_maps, strict=True))
    content = (sr - hr).abs().mean()
    texture = plain_texture(sr, hr, bank, size, corner, centered)
    total = content + texture + features + 0.005 * adversarial
    total.backward()
    g_gradient = torch.cat([p.grad.flatten() for p in generator.parameters()])
    g_adam.step()
    terms = {"content": content, "texture": texture, "discriminator": features, "adversarial": adversarial}
    values = {name: float(term.detach()) for name, term in terms.items()}
    return values | {"discriminator_own": float(d_loss.detach())}, g_gradient, d_gradient
