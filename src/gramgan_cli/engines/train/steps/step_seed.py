"""The seed of what is random in a training step, so that a resumed run draws the same."""

from __future__ import annotations

_SPREAD = 0x9E3779B1
"""An odd number near 2^32 over the golden ratio: seeds next to each other land far apart."""

_BITS = 0xFFFFFFFF
"""What torch's CPU generator keeps of a seed: its low 32 bits."""


def step_seed(seed: int, step: int, rank: int = 0, processes: int = 1) -> int:
    """32 bits for each step of a run and each of its processes.

    Within a run no two share them before step x processes reaches 2^32; runs of other seeds are elsewhere in the same
    circle of 2^32 numbers.
    """
    return (seed * _SPREAD + step * processes + rank) & _BITS
