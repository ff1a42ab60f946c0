"""Exact matching of a training batch's patches with the texture bank, compared with FAISS and a training step.

    python benchmarks/bench_match.py [--hr-dir DIR] [--db FILE] [--rounds 3] [--step] [--json FILE]

Queries: all non-overlapping 4x4 patches of 8 crops of 192 px (18 432), HR and bicubic SR averaged, in both forms.
FAISS flat uses the nine numbers of the full Gram matrix, as usual for the method; it is timed on a part of the
queries and scaled. ``--step`` also times one training step of the recipe gramgan (random VGG features, no warm-up)
on one crop, scaled to 8. CPU time (all threads) is reported besides wall time, since it is comparable on a busy
computer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from common import keep, write_photos

from gramgan_cli.core import archs
from gramgan_cli.core.data.crops import Batch
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import read_rgb
from gramgan_cli.core.resize.matlab import imresize, make_lr
from gramgan_cli.core.texture.gram import packed_gram, unpack
from gramgan_cli.core.texture.patchdb.bank import Bank, load_bank
from gramgan_cli.core.texture.patchdb.query import build_index, combined_query
from gramgan_cli.core.texture.patches import choose_positions, cut_patches, parse_selection
from gramgan_cli.engines.data.bank import build_bank
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.steps.gan import GanTraining
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

CROPS, SIDE, SIZE = 8, 192, 4
FLAT_PART = 256
"""Number of queries that FAISS flat is timed on."""


def load_crops(folder: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """LR (8, 3, 48, 48), its bicubic upscaling and HR (8, 3, 192, 192), from centres of photos spread over the list."""
    paths = list_pictures(folder)
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, CROPS).astype(int)]
    triples = []
    for path in chosen:
        photo = read_rgb(path)
        top, left = ((n - SIDE) // 8 * 4 for n in photo.shape[:2])
        hr = photo[top : top + SIDE, left : left + SIDE]
        lr = make_lr(hr, 4)
        triples.append((lr, imresize(lr, 4.0), hr))
    lr, sr, hr = (
        torch.stack([torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255 for image in images])
        for images in zip(*triples, strict=True)
    )
    return lr, sr, hr


class Seconds(NamedTuple):
    """Wall and CPU time of a call."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.3f} s wall, {self.cpu:.3f} s CPU"


def seconds(run: Callable[[], object], times: float = 1.0) -> Seconds:
    """Time one call, multiplied by a factor."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Seconds(times * (time.perf_counter() - wall), times * (time.process_time() - cpu))


def median(rounds: list[Seconds]) -> Seconds:
    """Medians of wall and CPU time."""
    return Seconds(*(statistics.median(column) for column in zip(*rounds, strict=True)))


def match(bank: Bank, sr: torch.Tensor, hr: torch.Tensor, centered: bool, rounds: int) -> dict[str, Any]:
    """Median seconds of both searches on one form of the Gram matrix, and the difference of their results."""
    positions = choose_positions(parse_selection("dense"), CROPS, SIDE, SIDE, SIZE)
    patches = [cut_patches(images, positions, SIZE) for images in (hr, sr)]
    queries = combined_query(*(packed_gram(p, centered) for p in patches)).flatten(0, 1)
    entries = bank.grams(centered).to(queries.device)
    index = build_index(entries, queries.device)
    build = seconds(lambda: build_index(entries, queries.device))
    flat = faiss.IndexFlatL2(9)
    flat.add(np.ascontiguousarray(unpack(entries.cpu()).flatten(1).numpy()))
    part = np.ascontiguousarray(unpack(queries[:: len(queries) // FLAT_PART][:FLAT_PART].cpu()).flatten(1).numpy())
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: index.find_best(queries)))
        theirs.append(seconds(lambda: flat.search(part, 1), len(queries) / len(part)))
    distances = (entries[index.find_best(queries)].double() - queries.double()).square().sum(-1)
    some = slice(None, None, 301)
    brute = [((entries.double() - q.double()) ** 2).sum(-1).min() for q in queries[some]]
    return {
        "queries": len(queries),
        "build_index": build,
        "gramgan": median(ours),
        "faiss_flat": median(theirs),
        "excess_over_float64_brute_force": float((distances[some] - torch.stack(brute)).abs().max()),
    }


def training_step(bank: Path, lr: torch.Tensor, hr: torch.Tensor) -> Seconds:
    """One step of the default recipe on the batch, from one crop."""
    changes = {"texture": {"db": str(bank), "patches": "dense"}, "features": {"weights": "random"}}
    recipe = merge(load_recipe("gramgan"), changes)
    network = {key: value for key, value in recipe.network.items() if key != "arch"}
    generator = archs.build(recipe.network["arch"], network).to(lr.device).train()
    training = GanTraining(generator, recipe, lr.device, Group())
    batch = Batch(lr[:1], hr[:1], ("crop",))
    return seconds(lambda: training.step(batch, 0), CROPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hr-dir", type=Path, help="photos; default: some of scikit-image's")
    parser.add_argument("--db", type=Path, help="a bank of 4x4 patches; built from --hr-dir when not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = options.db or Path(folder) / "bank.safetensors"
        hr_dir = options.hr_dir or Path(folder)
        if options.hr_dir is None:
            write_photos(hr_dir, CROPS, (768, 512))
        bank = load_bank(path) if options.db else build_bank(hr_dir, path, workers=2)
        lr, sr, hr = (images.to(device) for images in load_crops(hr_dir))
        report: dict[str, Any] = {"device": str(device), "entries": bank.provenance.entries}
        for centered in (False, True):
            row = match(bank, sr, hr, centered, options.rounds)
            report["centred" if centered else "raw"] = row
            ours, flat = row["gramgan"], row["faiss_flat"]
            print(f"{'centred' if centered else 'raw'}: {row['queries']} queries in {bank.provenance.entries} entries")
            print(f"  gramgan     {ours} (index built once in {row['build_index']})")
            print(f"  FAISS flat  {flat}; ratio {flat.wall / ours.wall:.0f} wall, {flat.cpu / ours.cpu:.0f} CPU")
            print(f"  squared distance above float64 brute force: {row['excess_over_float64_brute_force']:.1e}")
            if options.step and not centered:
                report["step"] = step = training_step(path, lr, hr)
                shares = f"{ours.wall / step.wall:.2%} wall, {ours.cpu / step.cpu:.2%} CPU"
                print(f"  training step {step}; matching takes {shares} of it", flush=True)
        del bank
    keep("match", options.json, report, [])


if __name__ == "__main__":
    main()
