"""The seed of what is random in a training step, so that a resumed run draws the same."""

from __future__ import annotations


def step_seed(seed: int, step: int) -> int:
    """A number of its own for each step of a run: no two (seed, step) with step < 2^32 share one."""
    return (seed << 32) + step
