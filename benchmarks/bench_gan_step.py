"""Seconds of one GAN step, gramgan's and a plain one with the same losses: RRDBNet 64/6/32, batch 4, LR 32, CPU.

    python benchmarks/bench_gan_step.py [--db BANK] [--rounds 5] [--threads N] [--json FILE]

The plain step runs the discriminator five times, in NCHW, does not freeze it in the generator's update, and matches
patches one sample at a time with a score over the whole bank. Both start from the same networks, must give the same
losses to 1e-4, and take turns. fp32, all losses but VGG.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import Goal, keep, write_bank
from operations import print_table, profile
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.texture.masks import grid_mask
from gramgan_cli.core.texture.patchdb.bank import load_bank
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

CPU = torch.device("cpu")
HYPERPARAMETERS = {"nf": 64, "nb": 6, "gc": 32}


def gram(patch: Tensor) -> Tensor:
    """Gram matrix (3, 3) of a patch (3, h, w)."""
    flat = patch.flatten(1)
    return flat @ flat.T


class Plain:
    """A straightforward implementation of the step."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, bank: Tensor) -> None:
        self.generator = generator.to(memory_format=torch.contiguous_format)
        self.discriminator = discriminator.to(memory_format=torch.contiguous_format)
        self.bank = bank.flatten(1)
        self.g_adam = torch.optim.Adam(self.generator.parameters(), lr=1e-4, foreach=False)
        self.d_adam = torch.optim.Adam(self.discriminator.parameters(), lr=1e-4, foreach=False)

    def texture(self, sr: Tensor, hr: Tensor, size: int = 4) -> Tensor:
        top, left = (sr.shape[2] - size) // 2, (sr.shape[3] - size) // 2
        terms = []
        for own, real in zip(sr, hr, strict=True):
            e = gram(own[:, top : top + size, left : left + size])
            g = gram(real[:, top : top + size, left : left + size])
            score = 0.5 * (self.bank - g.flatten()).square().sum(1) + 0.5 * (self.bank - e.flatten()).square().sum(1)
            terms.append((e.flatten() - self.bank[score.argmin()]).abs().mean())
        return torch.stack(terms).mean()

    def step(self, lr: Tensor, hr: Tensor) -> dict[str, float]:
        bce = F.binary_cross_entropy_with_logits
        sr, mask, judge = self.generator(lr), grid_mask(hr), self.discriminator
        self.d_adam.zero_grad()
        real, fake = judge(hr * mask).logit, judge((sr * mask).detach()).logit
        r, f = real - fake.mean(), fake - real.mean()
        own = bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f))
        own.backward()
        self.d_adam.step()
        self.g_adam.zero_grad()
        real, fake = judge(hr * mask).logit.detach(), judge(sr * mask).logit
        r, f = real - fake.mean(), fake - real.mean()
        adversarial = bce(r, torch.zeros_like(r)) + bce(f, torch.ones_like(f))
        both = judge(torch.cat((sr, hr)) * torch.cat((mask, mask)))
        features = torch.stack([F.l1_loss(m[: len(sr)], m[len(sr) :].detach()) for m in both[1:]]).sum()
        content, texture = F.l1_loss(sr, hr), self.texture(sr, hr)
        (content + texture + features + 0.005 * adversarial).backward()
        self.g_adam.step()
        terms = {"content": content, "texture": texture, "discriminator": features, "adversarial": adversarial}
        return {name: term.item() for name, term in terms.items()} | {"discriminator_own": own.item()}


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))


def run(folder: Path) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--db", type=Path, help="default: a bank of scikit-image's photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    bank_path = options.db or write_bank(folder)
    recipe = merge(
        load_recipe("gramgan"),
        {
            "network": HYPERPARAMETERS,
            "loss": {"perceptual": 0.0},
            "texture": {"db": str(bank_path), "patches": "center", "centered": False},
            "data": {"hr_crop": 128},
            "batch_size": 4,
        },
    )
    torch.manual_seed(0)
    generator = archs.build("rrdbnet", HYPERPARAMETERS).to(memory_format=torch.channels_last)
    ours = GanTraining(generator.train(), recipe, CPU, Group())
    patches = load_bank(bank_path).patches.flatten(0, 1).float() / 255
    bank = torch.einsum("nchw,ndhw->ncd", patches, patches)
    plain = Plain(copy.deepcopy(generator), copy.deepcopy(ours.networks["discriminator"]), bank)
    hr = torch.rand(4, 3, 128, 128)
    lr = F.interpolate(hr, scale_factor=0.25, mode="bicubic", antialias=True)
    batch = Batch(*(x.contiguous(memory_format=torch.channels_last) for x in (lr, hr)), names=("random",) * 4)
    found = {name: float(value) for name, value in ours.step(batch, 0).items()}
    for name, value in plain.step(lr, hr).items():
        assert abs(found[name] - value) <= 1e-4 * max(1.0, abs(value)), (name, found[name], value)
    pairs = [(timed(lambda: ours.step(batch, 1)), timed(lambda: plain.step(lr, hr))) for _ in range(options.rounds)]
    result = {
        "threads": torch.get_num_threads(),
        "gramgan_seconds": statistics.median(a for a, _ in pairs),
        "plain_seconds": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
    }
    print(json.dumps(result, indent=2))
    before, after = profile(lambda: plain.step(lr, hr), 1), profile(lambda: ours.step(batch, 1), 1)
    print_table("GAN", before, after)
    result |= {"before_shares": before[1], "after_shares": after[1]}
    goal = Goal("GAN step (RRDBNet 64/6/32, CPU) over a plain one", result["ratio"], ">=", 1.5)
    keep("gan_step", options.json, result, [goal])


if __name__ == "__main__":
    main()
