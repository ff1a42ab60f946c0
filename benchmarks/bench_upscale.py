"""Pixels per second and peak memory of upscaling 256x256, gramgan beside spandrel's eager run of the same weights.

    python benchmarks/bench_upscale.py [--rounds 5] [--json FILE]

Each run is a process of its own, so that peak memory is its own; the tools take turns, so that a machine whose speed
drifts does so for both. Both sides count what lies between an 8-bit array in and an 8-bit array out. Needs the extra
`interop`. RRDBNet-23 has random weights: speed does not depend on them.
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

SIDE = 256
INNER = {"compact": 5, "rrdbnet": 1}
"""Timed repetitions inside a process, after one that warms up."""


def child(tool: str, weights: Path, repetitions: int) -> dict[str, float]:
    """Time one tool on one file of weights, in this process."""
    import numpy as np
    import torch

    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    if tool == "gramgan":
        from gramgan_cli.core.weights.load import load_model
        from gramgan_cli.engines.upscale import Upscaler

        upscaler = Upscaler(load_model(str(weights)), torch.device("cpu"))
        run = upscaler.upscale
    else:
        import spandrel

        network = spandrel.ModelLoader().load_from_file(weights)

        def run(image: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
                sr = (network(x)[0].clamp(0, 1) * 255).round().to(torch.uint8)
                return sr.permute(1, 2, 0).numpy()

    run(image)
    seconds = []
    for _ in range(repetitions):
        began = time.perf_counter()
        run(image)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": statistics.median(seconds), "peak_gib": peak / 2**30}


def write_weights(folder: Path) -> dict[str, Path]:
    """The default model and a random RRDBNet-23, in files that both tools read."""
    import torch

    from gramgan_cli.core import archs
    from gramgan_cli.core.weights.header import WeightsHeader, save_weights
    from gramgan_cli.engines.export import export

    torch.manual_seed(0)
    hyperparameters = {"upsampler": "nearest"}
    network = archs.build("rrdbnet", hyperparameters)
    own = folder / "rrdbnet23.safetensors"
    save_weights(own, network.state_dict(), WeightsHeader("rrdbnet", hyperparameters, 4))
    files = {"compact": folder / "default-other.safetensors", "rrdbnet": folder / "rrdbnet-other.safetensors"}
    export("default", files["compact"], "safetensors", overwrite=True)
    export(str(own), files["rrdbnet"], "safetensors", overwrite=True)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        tool, weights, repetitions = arguments.child
        print(json.dumps(child(tool, Path(weights), int(repetitions))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for model, weights in write_weights(Path(name)).items():
            found: dict[str, list[dict[str, float]]] = {"gramgan": [], "spandrel": []}
            for _ in range(arguments.rounds):
                for tool in found:
                    words = [sys.executable, __file__, "--child", tool, str(weights), str(INNER[model])]
                    found[tool].append(json.loads(subprocess.run(words, check=True, capture_output=True).stdout))
            ratios = [b["seconds"] / a["seconds"] for a, b in zip(found["gramgan"], found["spandrel"], strict=True)]
            for tool, runs in found.items():
                seconds = statistics.median(run["seconds"] for run in runs)
                rows.append(
                    {
                        "model": model,
                        "tool": tool,
                        "seconds": seconds,
                        "input_pixels_per_second": SIDE**2 / seconds,
                        "output_pixels_per_second": 16 * SIDE**2 / seconds,
                        "peak_gib": max(run["peak_gib"] for run in runs),
                        "speed_over_spandrel": statistics.median(ratios) if tool == "gramgan" else 1.0,
                    }
                )
    print(f"{'model':10}{'tool':10}{'seconds':>9}{'Mpx out/s':>11}{'peak GiB':>10}{'ratio':>7}")
    for row in rows:
        print(
            f"{row['model']:10}{row['tool']:10}{row['seconds']:9.3f}{row['output_pixels_per_second'] / 1e6:11.3f}"
            f"{row['peak_gib']:10.2f}{row['speed_over_spandrel']:7.2f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
