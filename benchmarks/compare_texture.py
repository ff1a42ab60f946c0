"""Comparison of texture losses, trained from the same weights, by how close they bring SR's texture to real texture.

    python benchmarks/compare_texture.py --hr-dir TRAIN --valid-dir VALID --out FOLDER [--steps 500] [--seeds 0 1]

Builds a bank per patch size, trains each variant with each seed by `gramgan train` from the embedded model clean, and
measures held-out photos: distance of mean-removed Grams at patch sizes 4, 8 and 16, distance of spectra, Y-PSNR
(defined in docs/metrics.md). Prints, per variant, the mean and the paired difference per image from the variant
without texture loss, with its standard error over the images. Finished parts are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import read_rgb
from gramgan_cli.core.metrics import psnr_y
from gramgan_cli.core.metrics.texture import gram_distance, spectrum_distance
from gramgan_cli.core.resize.matlab import crop_to_multiple, imresize, make_lr
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.engines.upscale.upscaler import Upscaler

NONE = "no texture"
VARIANTS: dict[str, dict[str, str]] = {
    NONE: {"loss.texture": "0"},
    "center": {"texture.patches": "center", "texture.centered": "false"},
    "dense": {"texture.patches": "dense", "texture.centered": "false"},
    "dense centred": {"texture.patches": "dense", "texture.centered": "true"},
    "random:64": {"texture.patches": "random:64", "texture.centered": "false"},
}
"""Changes to the recipe `gramgan`, by name of the variant."""

COMMON = {
    "loss.perceptual": "0",
    "discriminator.nf": "32",
    "schedule.warmup": "50",
    "compute.precision": "bf16",
    "optimizer.ema": "0.99",
}
SIDE = 96
"""Side of the grid's crops in pixels; shown at twice the size."""

METRICS = ("gram 4", "gram 8", "gram 16", "spectrum", "psnr")


def gramgan(*words: object) -> None:
    """Run one gramgan command, with its progress on this process's stderr."""
    subprocess.run([sys.executable, "-m", "gramgan_cli", *map(str, words)], check=True)


def train(name: str, seed: int, options: argparse.Namespace) -> Path:
    """Train a variant, unless done already; return its weights."""
    settings = COMMON | VARIANTS[name]
    size = settings.get("texture.patch_size", "4")
    bank = options.out / f"bank{size}.safetensors"
    if not bank.exists():
        gramgan("build-db", "--hr-dir", options.hr_dir, "--out", bank, "--patch-size", size)
    run = options.out / f"{name.replace(' ', '-')}-{seed}"
    weights = run / "last.safetensors"
    if (run / "done").exists():
        return weights
    resume = ["--resume"] if (run / "recipe.toml").exists() else [
        *("--recipe", "gramgan", "--hr-dir", options.hr_dir, "--valid-dir", options.valid_dir, "--init", "clean"),
        *("--db", bank, "--steps", options.steps, "--seed", seed, "--batch-size", 4, "--hr-crop", 96),
        *("--valid-every", options.steps, *(word for pair in settings.items() for word in ("--set", "=".join(pair)))),
    ]  # fmt: skip
    gramgan("train", "--out", run, *resume)
    (run / "done").touch()
    return weights


def measure(weights: Path, valid: Path) -> dict[str, dict[str, float]]:
    """All metrics of each held-out photo."""
    upscaler = Upscaler(load_model(str(weights)), torch.device("cpu"))
    rows = {}
    for path in list_pictures(valid):
        hr = crop_to_multiple(read_rgb(path), 4)
        sr = upscaler.upscale(make_lr(hr, 4))
        grams = {f"gram {size}": gram_distance(sr, hr, 4, size) for size in (4, 8, 16)}
        rows[path.stem] = {**grams, "spectrum": spectrum_distance(sr, hr, 4), "psnr": psnr_y(sr, hr, 4)}
    return rows


def table(results: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """Markdown table: mean, and paired difference from the variant without texture loss +- its standard error."""
    lines = ["| variant | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 1) + "|"]

    def values(name: str, metric: str) -> np.ndarray:
        return np.array([[photo[metric] for photo in seed.values()] for seed in results[name].values()])

    for name in results:
        cells = []
        for metric in METRICS:
            own = values(name, metric)
            cell = f"{own.mean():.4g}"
            if name != NONE and NONE in results and own.shape == values(NONE, metric).shape:
                paired = own - values(NONE, metric)
                error = paired.mean(0).std(ddof=1) / np.sqrt(paired.shape[1])
                cell += f" ({paired.mean():+.3g} ± {error:.2g})"
            cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def grid(options: argparse.Namespace) -> Image.Image:
    """Grid of zoomed crops with a row per photo: bicubic, each variant of the first seed, HR."""
    rows = []
    for path in options.pictures:
        hr = crop_to_multiple(read_rgb(path), 4)
        lr, (height, width) = make_lr(hr, 4), hr.shape[:2]
        cells = [imresize(lr, 4)]
        for name in VARIANTS:
            weights = train(name, options.seeds[0], options)
            cells.append(Upscaler(load_model(str(weights)), torch.device("cpu")).upscale(lr))
        top, left = (height - SIDE) // 2, (width - SIDE) // 2
        rows.append(np.concatenate([cell[top : top + SIDE, left : left + SIDE] for cell in [*cells, hr]], axis=1))
    return Image.fromarray(np.concatenate(rows)).resize((2 * SIDE * (len(VARIANTS) + 2), 2 * SIDE * len(rows)), 0)


def main() -> None:
    """Train, measure and print; results are saved in ``results.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hr-dir", type=Path, required=True)
    parser.add_argument("--valid-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], help="photos for a grid of crops, grid.jpg")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for seed in options.seeds:
        for name in VARIANTS:
            results.setdefault(name, {})[str(seed)] = measure(train(name, seed, options), options.valid_dir)
            (options.out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
            print(table(results), flush=True)
    if options.pictures:
        grid(options).save(options.out / "grid.jpg", quality=88)


if __name__ == "__main__":
    main()
