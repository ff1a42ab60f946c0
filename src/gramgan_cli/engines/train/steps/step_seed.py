"""Seed of each training step, so that a resumed run draws the same random numbers."""

from __future__ import annotations

_SPREAD = 0x9E3779B1
"""Odd number near 2^32 / golden ratio, which spreads neighbouring seeds far apart."""

_BITS = 0xFFFFFFFF
"""Torch's CPU generator uses only the low 32 bits of a seed."""


def step_seed(seed: int, step: int, rank: int = 0, processes: int = 1) -> int:
    """32-bit seed for one step and process of a run.

    Seeds are unique within a run while steps x processes is below 2^32. Runs with other seeds start elsewhere in the
    same cycle of 2^32 numbers.
    """
    return (seed * _SPREAD + step * processes + rank) & _BITS
