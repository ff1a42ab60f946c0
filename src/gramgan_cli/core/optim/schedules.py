"""Learning-rate schedules, as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence


def warmup_cosine(step: int, warmup: int, period: int) -> float:
    """Return the fraction of the base rate at ``step`` (from 0): linear warm-up, then cosine decay to 0, with restarts.

    Each ``period`` starts at 1/warmup, reaches 1 at step ``warmup``, and ends just above 0. The cosine is that of
    Loshchilov & Hutter 2017, eq. 5, with a minimum of 0.
    """
    position = step % period
    if position < warmup:
        return (position + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (position - warmup) / max(1, period - warmup)))


def stepped(step: int, warmup: int, milestones: Sequence[int], factor: float) -> float:
    """Return the fraction of the base rate: linear warm-up, then times ``factor`` at each milestone reached."""
    share = (step + 1) / warmup if step < warmup else 1.0
    return share * factor ** sum(step >= milestone for milestone in milestones)
