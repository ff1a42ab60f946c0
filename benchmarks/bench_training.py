"""Profile of training steps, and the cost of loading crops.

    python benchmarks/bench_training.py [--steps 5] [--json FILE]

A content step (recipe psnr: Compact 64x16, batch 16, LR 32) and a GAN step (RRDBNet 64/6/32, batch 4, LR 32, all losses
but VGG and texture, which bench_match.py measures) are profiled by operation. The content step is compared with a
plain form (NCHW, unfused Adam; bench_gan_step.py does that for the GAN step). The loader is timed alone, on one thread,
and in the loop, as the difference between the loop and steps on one batch.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import Goal, keep, parser, seconds, write_photos
from operations import print_table, profile
from torch.nn import functional as F

from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import CropSampler
from gramgan_cli.core.data.prepared import prepare_photos
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.content import ContentTraining
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

CPU = torch.device("cpu")
LR = 32


def content(batch: Any) -> Callable[[], object]:
    """A step of the recipe psnr."""
    recipe = load_recipe("psnr")
    generator = archs.build("compact", {}).to(memory_format=torch.channels_last).train()
    training = ContentTraining(generator, recipe, CPU, Group())
    return lambda: training.step(batch, 1)


def plain_content(batch: Any) -> Callable[[], object]:
    """A straightforward implementation of the same step."""
    generator = archs.build("compact", {}).train()
    adam = torch.optim.Adam(generator.parameters(), lr=1e-4, foreach=False)
    lr, hr = batch.lr.contiguous(), batch.hr.contiguous()

    def step() -> None:
        adam.zero_grad()
        F.l1_loss(generator(lr), hr).backward()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), 0.5)
        adam.step()

    return step


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

            loop()
            looped, repeated = zip(*((seconds(loop), seconds(same)) for _ in range(5)), strict=True)
            in_loop = statistics.median(looped) / statistics.median(repeated) - 1
            print(f"\n{kind} step {duration:.3f} s; a batch alone {alone * 1000:.2f} ms, {alone / duration:.2%} of it")
            row = {"kind": kind, "seconds": duration, "batch_seconds": alone, "in_loop": in_loop, "shares": shares}
            if kind == "content":
                before = profile(plain_content(batch), arguments.steps)
                print_table(kind, before, (duration, shares))
                row |= {"before_seconds": before[0], "before_shares": before[1]}
            rows.append(row)
            goals += [
                Goal(f"{kind} step: a batch alone, share of the step", alone / duration, "<=", 0.05),
                Goal(f"{kind} step: the loop over steps on one batch, share", in_loop, "<=", 0.05),
            ]
    keep("training", arguments.json, rows, goals)


if __name__ == "__main__":
    main()
