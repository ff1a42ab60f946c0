"""Where a training step's time goes, and what loading its crops costs.

    python benchmarks/bench_training.py [--steps 5] [--json FILE]

A content step (recipe psnr: Compact 64x16, batch 16, LR 32) and a GAN step (RRDBNet 64/6/32, batch 4, LR 32, all losses
but VGG and texture, which bench_match.py measures) are profiled operation by operation. The loader is timed alone, on
one thread, and in the loop, as the difference between the loop and steps on one batch.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import Goal, keep, parser, seconds, write_photos

from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import CropSampler
from gramgan_cli.core.data.prepared import prepare_photos
from gramgan_cli.engines.content_step import ContentTraining
from gramgan_cli.engines.distributed import Group
from gramgan_cli.engines.gan_step import GanTraining
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

CPU = torch.device("cpu")
LR = 32
GROUPS = {
    "convolution, forward": ("mkldnn_convolution", "convolution"),
    "convolution, backward": ("convolution_backward",),
    "activation": ("prelu", "leaky_relu", "_prelu", "relu"),
    "concatenation, copies": ("cat", "copy_", "clone", "contiguous"),
    "optimiser": ("_fused_adam_", "_foreach"),
}
"""Parts of a step by the beginnings of the operations' names."""


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


def content(batch: Any) -> Callable[[], object]:
    """A step of the recipe psnr."""
    recipe = load_recipe("psnr")
    generator = archs.build("compact", {}).to(memory_format=torch.channels_last).train()
    training = ContentTraining(generator, recipe, CPU, Group())
    return lambda: training.step(batch, 1)


def gan(batch: Any) -> Callable[[], object]:
    """A step of the recipe gramgan with a smaller generator."""
    changes = {
        "network": {"nf": 64, "nb": 6, "gc": 32},
        "loss": {"perceptual": 0.0, "texture": 0.0},
        "data": {"hr_crop": 4 * LR},
        "batch_size": 4,
    }
    recipe = merge(load_recipe("gramgan"), changes)
    generator = archs.build("rrdbnet", changes["network"]).to(memory_format=torch.channels_last).train()
    training = GanTraining(generator, recipe, CPU, Group())
    return lambda: training.step(batch, 1)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=5)
    arguments = options.parse_args()
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    goals: list[Goal] = []
    with tempfile.TemporaryDirectory() as name:
        paths = write_photos(Path(name), 8, (1224, 816))
        photos = prepare_photos(paths, 4, Path(name) / "prepared")
        for kind, batch_size, make in (("content", 16, content), ("GAN", 4, gan)):
            sampler = CropSampler(photos, 4, 4 * LR, batch_size, seed=0)
            batch = sampler.batch(0)
            alone = statistics.median(seconds(partial(sampler.batch, i)) for i in range(50))
            step = make(batch)
            duration, shares = profile(step, arguments.steps)

            def loop(sampler: CropSampler = sampler, step: Callable[[], object] = step) -> None:
                for _ in sampler.batches(0, arguments.steps):
                    step()

            def same(step: Callable[[], object] = step) -> None:
                for _ in range(arguments.steps):
                    step()

            pairs = [(seconds(loop), seconds(same)) for _ in range(3)]
            in_loop = statistics.median(max(0.0, a - b) / b for a, b in pairs)
            print(f"\n{kind} step {duration:.3f} s; a batch alone {alone * 1000:.2f} ms, {alone / duration:.2%} of it")
            for part, share in shares.items():
                print(f"  {part:24}{share:7.1%}")
            row = {"kind": kind, "seconds": duration, "batch_seconds": alone, "in_loop": in_loop, "shares": shares}
            rows.append(row)
            goals += [
                Goal(f"{kind} step: a batch alone, share of the step", alone / duration, "<=", 0.05),
                Goal(f"{kind} step: the loop over steps on one batch, share", in_loop, "<=", 0.05),
            ]
    keep("training", arguments.json, rows, goals)


if __name__ == "__main__":
    main()
