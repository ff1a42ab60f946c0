"""Time of a training step by operation, in a plain and an optimised form."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable

import torch
from common import seconds

GROUPS = {
    "convolution, forward": ("mkldnn_convolution", "convolution"),
    "convolution, backward": ("convolution_backward",),
    "activation": ("prelu", "leaky_relu", "_prelu", "relu"),
    "concatenation, copies": ("cat", "copy_", "clone", "contiguous"),
    "optimiser": ("_fused_adam_", "_foreach"),
}
"""Prefixes of operations' names by part of a step. Unfused Adam falls under 'other'."""


def part_of(operation: str) -> str:
    """The group of an operation ``aten::name``."""
    name = operation.removeprefix("aten::")
    for part, beginnings in reversed(GROUPS.items()):
        if name.startswith(beginnings) and not (part.endswith("forward") and "backward" in name):
            return part
    return "other"


def profile(step: Callable[[], object], steps: int) -> tuple[float, dict[str, float]]:
    """Median seconds of a step, and each part's share of its operations' time."""
    step()
    durations = [seconds(step) for _ in range(steps)]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        step()
    shares: Counter[str] = Counter()
    for event in found.key_averages():
        shares[part_of(event.key)] += event.self_cpu_time_total
    total = sum(shares.values())
    return statistics.median(durations), {part: time / total for part, time in shares.most_common()}


def print_table(kind: str, before: tuple[float, dict[str, float]], after: tuple[float, dict[str, float]]) -> None:
    """Seconds of each part of a step in both forms."""
    print(f"\n{kind} step{'':18}{'before':>10}{'after':>10}")
    print(f"  {'all':26}{before[0]:9.3f}s{after[0]:9.3f}s")
    for part in after[1] | before[1]:
        cells = (f"{seconds * shares.get(part, 0):9.3f}s" for seconds, shares in (before, after))
        print(f"  {part:26}{''.join(cells)}")
