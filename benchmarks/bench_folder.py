"""A folder of photos against the network alone, time and memory by size, and the first result after a cold start.

    python benchmarks/bench_folder.py [--photos 50] [--backend auto] [--largest 16] [--json FILE]

The folder has JPEGs of one megapixel. The network's time is that of the same tiles of the same photos, decoded
beforehand, without writing results. Sizes from 0.25 to 16 megapixels run in separate processes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Goal, keep, parser, seconds, write_photos

MEGAPIXEL = (1224, 816)
SIZES = {0.25: (612, 408), 1.0: MEGAPIXEL, 4.0: (2448, 1632), 16.0: (4896, 3264)}
COLD_STARTS = 3


def folder_and_network(paths: list[Path], out: Path, backend: str) -> dict[str, Any]:
    """Seconds of ``gramgan upscale FOLDER`` after start-up, and of the network alone."""
    import numpy as np
    from PIL import Image

    from gramgan_cli.engines.upscale.options import UpscaleOptions
    from gramgan_cli.engines.upscale.pipeline import upscale_files
    from gramgan_cli.engines.upscale.plan import plan_jobs
    from gramgan_cli.engines.upscale.session import open_session

    options = UpscaleOptions(model="clean", device="cpu", backend=backend, overwrite=True)  # type: ignore[arg-type]
    session = open_session(options)
    images = [np.asarray(Image.open(path)) for path in paths]

    def network() -> None:
        for image in images:
            for _ in session.source.bands(image):
                pass

    def folder() -> None:
        jobs = plan_jobs([str(paths[0].parent)], out, options, session)
        records = list(upscale_files(jobs, session, options))
        assert len(records) == len(paths)
        assert not any(record.error for record in records)

    for _ in session.source.bands(images[0]):
        pass
    pure, whole = seconds(network), seconds(folder)
    return {"photos": len(paths), "backend": session.backend, "network": pure, "folder": whole, "ratio": whole / pure}


def child(photo: Path, out: Path, backend: str) -> dict[str, float]:
    """Seconds and peak memory of one photo, after everything is loaded."""
    from gramgan_cli.engines.upscale.options import UpscaleOptions
    from gramgan_cli.engines.upscale.pipeline import upscale_files
    from gramgan_cli.engines.upscale.plan import plan_jobs
    from gramgan_cli.engines.upscale.session import open_session

    options = UpscaleOptions(
        model="clean",
        device="cpu",
        backend=backend,
        format="png",
        template="{stem}",
        overwrite=True,  # type: ignore[arg-type]
    )
    session = open_session(options)
    jobs = plan_jobs([str(photo)], out, options, session)
    began = time.perf_counter()
    (record,) = upscale_files(jobs, session, options)
    assert record.error is None, record.error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": time.perf_counter() - began, "peak_gib": peak / 2**30}


def growth(folder: Path, backend: str, largest: float) -> list[dict[str, float]]:
    """Rows of results, one per size."""
    rows = []
    for megapixels, size in SIZES.items():
        if megapixels <= largest:
            (folder / str(megapixels)).mkdir()
            (photo,) = write_photos(folder / str(megapixels), 1, size)
            words = [sys.executable, __file__, "--child", str(photo), str(folder / "grown"), backend]
            run = subprocess.run(words, check=True, capture_output=True, text=True)
            row = json.loads(run.stdout.splitlines()[-1]) | {"megapixels": size[0] * size[1] / 1e6}
            rows.append(row)
            print(f"{row['megapixels']:6.2f} MP {row['seconds']:8.2f} s {row['peak_gib']:6.2f} GiB", flush=True)
    return rows


def cold_start(folder: Path, backend: str) -> float:
    """Median seconds of the command on a 64 x 64 picture, with the network already converted."""
    (picture,) = write_photos(folder, 1, (64, 64), ".png")
    words = [
        "upscale",
        str(picture),
        "--backend",
        backend,
        "--device",
        "cpu",
        "--overwrite",
        "-o",
        str(folder / "a.png"),
    ]
    command = [sys.executable, "-m", "gramgan_cli", *words]
    runs = [seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(COLD_STARTS + 1)]
    return statistics.median(runs[1:])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--photos", type=int, default=50)
    options.add_argument("--backend", default="auto")
    options.add_argument("--largest", type=float, default=16.0, help="megapixels")
    options.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        photo, out, backend = arguments.child
        print(json.dumps(child(Path(photo), Path(out), backend)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cold").mkdir()
        start = cold_start(folder / "cold", arguments.backend)
        print(f"cold start {start:.2f} s")
        (folder / "photos").mkdir()
        paths = write_photos(folder / "photos", arguments.photos, MEGAPIXEL)
        whole = folder_and_network(paths, folder / "out", arguments.backend)
        print(f"{whole['photos']} photos: network {whole['network']:.1f} s, folder {whole['folder']:.1f} s", flush=True)
        rows = growth(folder, arguments.backend, arguments.largest)
    per_megapixel = [row["seconds"] / row["megapixels"] for row in rows[1:]]
    goals = [
        Goal("cold start, 64x64, seconds", start, "<=", 3.0),
        Goal("folder of 1-megapixel photos over its network alone", whole["ratio"], "<=", 1.1),
        Goal(
            "seconds per megapixel, largest over smallest from 1 MP", max(per_megapixel) / min(per_megapixel), "<=", 1.2
        ),
        Goal("memory at the largest size over that at 1 MP", rows[-1]["peak_gib"] / rows[1]["peak_gib"], "<=", 1.25),
    ]
    keep("folder", arguments.json, {"cold_start": start, "folder": whole, "growth": rows}, goals)


if __name__ == "__main__":
    main()
