"""Time per entry of building the texture bank, compared with loops that make one patch at a time with Pillow.

    python benchmarks/bench_build_db.py [--hr-dir DIR] [--rounds 3] [--workers 2] [--json FILE]

One loop opens the photo for each position, like a plain implementation of uniform sampling over a folder; the other
gets decoded photos, so that it has no reading to do. Both make the same three versions and their Gram matrices. The
variants take turns, so that drifts of the computer's speed affect all equally. CPU time (all threads) is reported
besides wall time, since it is comparable on a busy computer.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import keep, write_photos
from PIL import Image

from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.texture.patchdb.cutting import upright_size
from gramgan_cli.core.texture.patchdb.sampling import draw_positions
from gramgan_cli.engines.data.bank import build_bank

POSITIONS = 200_000
Position = tuple[Path, int, int, np.ndarray]
OPENED, DECODED = 60, 6000
"""Number of positions that each loop is timed on."""


def plain_patch(photo: Image.Image, y: int, x: int, numbers: np.ndarray, size: int = 4) -> list[torch.Tensor]:
    """Three Pillow crops of one position and their Gram matrices."""
    around = photo.crop((x - 8, y - 8, x + size + 8, y + size + 8))
    side = size + 16
    soft = around.resize((side // 2, side // 2), Image.Resampling.BICUBIC)
    soft = soft.resize((side, side), Image.Resampling.BICUBIC)
    angle, shear = math.radians(1.08 * numbers[0]), math.tan(math.radians(0.06 * numbers[1]))
    zoom, centre = 1 + 0.003 * numbers[2], side / 2
    a, d = zoom * math.cos(angle), zoom * math.sin(angle)
    b, e = a * shear - d, d * shear + a
    down, right = 0.576 * numbers[3], 0.576 * numbers[4]
    map_ = (a, b, centre - a * centre - b * centre + right, d, e, centre - d * centre - e * centre + down)
    turned = around.transform(around.size, Image.Transform.AFFINE, map_, Image.Resampling.BICUBIC)
    box = (8, 8, 8 + size, 8 + size)
    grams = []
    for patch in (photo.crop((x, y, x + size, y + size)), soft.crop(box), turned.crop(box)):
        p = torch.from_numpy(np.array(patch)).permute(2, 0, 1).float().div(255).flatten(1)
        grams.append((p @ p.T).flatten())
    return grams


def build_once(hr_dir: Path, workers: int) -> None:
    """Build, write and open the whole bank."""
    with tempfile.TemporaryDirectory() as folder:
        build_bank(hr_dir, Path(folder) / "bank.safetensors", workers=workers)


def open_each(positions: list[Position]) -> None:
    """The loop that opens the photo for each position."""
    for path, y, x, numbers in positions:
        with Image.open(path) as photo:
            plain_patch(photo.convert("RGB"), y, x, numbers)


def crop_each(positions: list[Position], photos: dict[Path, Image.Image]) -> None:
    """The loop with decoded photos."""
    for path, y, x, numbers in positions:
        plain_patch(photos[path], y, x, numbers)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))


def run(folder: Path) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hr-dir", type=Path, help="photos; default: some of scikit-image's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    hr_dir = options.hr_dir or folder
    if options.hr_dir is None:
        write_photos(hr_dir, 16, (1224, 816))

    paths = list_pictures(hr_dir)
    draw = draw_positions([upright_size(path) for path in paths], POSITIONS, 4, 0)
    positions = [
        (path, int(y), int(x), numbers)
        for path, corners, normals in zip(paths, draw.corners, draw.normals, strict=True)
        for (y, x), numbers in zip(corners, normals, strict=True)
    ]
    opened = [positions[i] for i in np.linspace(0, len(positions) - 1, OPENED).astype(int)]
    decoded = positions[:DECODED]
    in_memory = {path: Image.open(path).convert("RGB") for path in {position[0] for position in decoded}}

    sides: dict[str, tuple[Callable[[], object], int]] = {
        "build-db": (lambda: build_once(hr_dir, options.workers), 3 * len(positions)),
        "loop that opens photos": (lambda: open_each(opened), 3 * len(opened)),
        "loop on decoded photos": (lambda: crop_each(decoded, in_memory), 3 * len(decoded)),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, (run, _) in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))

    report = {}
    for name, (_, entries) in sides.items():
        wall, cpu = (statistics.median(column) for column in zip(*times[name], strict=True))
        report[name] = {"entries": entries, "wall": wall, "cpu": cpu, "wall_us": 1e6 * wall / entries}
        report[name]["cpu_us"] = 1e6 * cpu / entries
    ours = report["build-db"]
    print(f"build-db: {ours['entries']} entries in {ours['wall']:.1f} s wall, {ours['cpu']:.1f} s CPU")
    for name, row in report.items():
        print(
            f"{name:24} per entry: wall {row['wall_us']:8.2f} us (ratio {row['wall_us'] / ours['wall_us']:6.1f}), "
            f"CPU {row['cpu_us']:8.2f} us (ratio {row['cpu_us'] / ours['cpu_us']:6.1f})"
        )
    keep("build_db", options.json, report, [])


if __name__ == "__main__":
    main()
