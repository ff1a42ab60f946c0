"""Looking from a corner that changes from step to step, against patterns of the sub-pixel grid."""

from __future__ import annotations

import torch
from torch import Tensor

from gramgan_cli.engines.train.steps.step_seed import step_seed


def jitter_corner(spare: int, seed: int, step: int) -> tuple[int, int]:
    """Top and left corner, 0 to ``spare`` - 1 px, of a frozen or learning network's view: a function of (seed, step).

    Strided convolutions and max-pools send back a gradient with a pattern of their own. From a fixed corner it meets
    each phase of the generator's sub-pixel grid in the same way at every step, and the generator learns the pattern;
    from a changing corner it averages out.
    """
    generator = torch.Generator().manual_seed(step_seed(seed, step))
    top, left = torch.randint(spare, (2,), generator=generator).tolist()
    return top, left


def jittered(image: Tensor, spare: int, seed: int, step: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H - spare, W - spare), from the step's corner; as it is where ``spare`` is 0."""
    if not spare:
        return image
    top, left = jitter_corner(spare, seed, step)
    return image[..., top : top + image.shape[2] - spare, left : left + image.shape[3] - spare]
