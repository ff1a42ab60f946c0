"""Random crop offsets per step, which prevent patterns on the sub-pixel grid."""

from __future__ import annotations

import torch
from torch import Tensor

from gramgan_cli.engines.train.steps.step_seed import step_seed


def jitter_corner(spare: int, seed: int, step: int) -> tuple[int, int]:
    """Top and left offset, 0 to ``spare`` - 1 px, of the crop that a network sees: a function of (seed, step).

    The gradient through strided convolutions and max-pools has a periodic pattern. At a fixed offset, the pattern is
    always aligned with the generator's sub-pixel grid, and the generator learns it; at random offsets it averages out.
    """
    generator = torch.Generator().manual_seed(step_seed(seed, step))
    top, left = torch.randint(spare, (2,), generator=generator).tolist()
    return top, left


def jittered(image: Tensor, spare: int, seed: int, step: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H - spare, W - spare), cropped at the step's offset; unchanged if ``spare`` is 0."""
    if not spare:
        return image
    top, left = jitter_corner(spare, seed, step)
    return image[..., top : top + image.shape[2] - spare, left : left + image.shape[3] - spare]
