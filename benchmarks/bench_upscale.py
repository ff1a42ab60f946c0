"""Upscaling 256x256 with each backend, compared with spandrel's eager run of the same weights and the CPU's peak.

    python benchmarks/bench_upscale.py [--rounds 5] [--models compact rrdbnet] [--json FILE]

Each run has its own process, for its own peak memory. The tools take turns, so that drifts of the computer's speed
affect all equally. Times are from the bytes of a PNG to the bytes of the upscaled PNG (spandrel's side uses Pillow to
decode and encode), and of the network alone. Each result is compared with torch's in fp32. Needs the extra `interop`;
backends that are not installed are skipped. RRDBNet-23 has random weights, on which speed does not depend.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Goal, keep, median_seconds, parser, write_photos

SIDE = 256
INNER = {"compact": 5, "rrdbnet": 1}
"""Timed repetitions in a process, after a warm-up."""
TOOLS = ("spandrel", "torch", "ncnn", "openvino", "onnx")


def spandrel_run(weights: Path, picture: bytes) -> tuple[Callable[[], Any], Callable[[], bytes]]:
    """Time the network alone, and from PNG to PNG, like a script that uses spandrel."""
    import io

    import numpy as np
    import spandrel
    import torch
    from PIL import Image

    network = spandrel.ModelLoader().load_from_file(weights)

    def enlarge(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            sr = (network(x)[0].clamp(0, 1) * 255).round().to(torch.uint8)
            return sr.permute(1, 2, 0).numpy()

    def read() -> np.ndarray:
        return np.array(Image.open(io.BytesIO(picture)))

    def whole() -> bytes:
        out = io.BytesIO()
        Image.fromarray(enlarge(read())).save(out, "PNG")
        return out.getvalue()

    image = read()
    return lambda: enlarge(image), whole


def gramgan_run(backend: str, weights: Path, picture: bytes) -> tuple[Callable[[], Any], Callable[[], bytes]]:
    """Time the same with gramgan."""
    import io

    import numpy as np
    import torch

    from gramgan_cli.core.backends.choose import choose_backend
    from gramgan_cli.core.images.output_format import choose_format, plan_target
    from gramgan_cli.core.images.read import open_photo
    from gramgan_cli.core.images.write import encode
    from gramgan_cli.core.weights.load import load_model
    from gramgan_cli.engines.upscale.upscaler import Upscaler

    model = load_model(str(weights))
    converted = choose_backend(backend, model, "cpu", "fp32").converted  # type: ignore[arg-type]
    upscaler = Upscaler(model, torch.device("cpu"), converted=converted)

    def read() -> tuple[Any, np.ndarray]:
        photo = open_photo(picture, "a.png", False)
        return photo, next(photo.decode())

    def whole() -> bytes:
        photo, image = read()
        size = (4 * image.shape[1], 4 * image.shape[0])
        target, _ = plan_target(photo, choose_format(photo, "default"), (size,), 95)
        out = io.BytesIO()
        encode(target, iter([upscaler.bands(image)]), out)
        return out.getvalue()

    _, image = read()
    return lambda: upscaler.upscale(image), whole


def child(tool: str, weights: Path, picture: Path, repetitions: int) -> dict[str, Any]:
    """Time one tool on one weights file, in this process."""
    data = picture.read_bytes()
    make = spandrel_run(weights, data) if tool == "spandrel" else gramgan_run(tool, weights, data)
    network, whole = make
    result = network()
    alone = []
    for _ in range(repetitions):
        began = time.perf_counter()
        network()
        alone.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "network": statistics.median(alone),
        "whole": median_seconds(whole, repetitions) if repetitions > 1 else whole_once(whole),
        "peak_gib": peak / 2**30,
        "result": result.tobytes().hex() if tool in ("torch", "ncnn", "openvino", "onnx") and repetitions > 1 else "",
    }


def whole_once(whole: Callable[[], bytes]) -> float:
    """Time one run from PNG to PNG; a large network is warm already."""
    began = time.perf_counter()
    whole()
    return time.perf_counter() - began


def write_weights(folder: Path, models: list[str]) -> dict[str, Path]:
    """Write the model clean and a random RRDBNet-23 to files that both tools can read."""
    import torch

    from gramgan_cli.core import archs
    from gramgan_cli.core.weights.header import WeightsHeader, save_weights
    from gramgan_cli.engines.models.export import ExportOptions, export

    files = {"compact": folder / "clean-other.safetensors", "rrdbnet": folder / "rrdbnet-other.safetensors"}
    if "compact" in models:
        export("clean", files["compact"], ExportOptions(overwrite=True))
    if "rrdbnet" in models:
        torch.manual_seed(0)
        hyperparameters = {"upsampler": "nearest"}
        own = folder / "rrdbnet23.safetensors"
        network = archs.build("rrdbnet", hyperparameters)
        save_weights(own, network.state_dict(), WeightsHeader("rrdbnet", hyperparameters, 4))
        export(str(own), files["rrdbnet"], ExportOptions(overwrite=True))
    return {name: files[name] for name in models}


def network_flops(weights: Path) -> float:
    """FLOPs for one picture of SIDE x SIDE: two per multiplication with a weight."""
    import torch

    from gramgan_cli.core.weights.load import load_model

    total = 0.0

    def count(module: Any, _inputs: Any, output: Any) -> None:
        nonlocal total
        total += 2 * module.weight[0].numel() * output.numel()

    network = load_model(str(weights)).network
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 3, 16, 16))
    return total * (SIDE / 16) ** 2


def convolution_rates(repetitions: int) -> dict[str, float]:
    """GFLOP/s of 3x3 convolutions of 64 channels at 256x256, in torch's layouts and by Winograd (counted as direct)."""
    import torch
    from torch import nn

    from gramgan_cli.core.backends.allocator import keep_freed_memory
    from gramgan_cli.core.backends.choose import is_installed
    from gramgan_cli.core.backends.layers import layers_of
    from gramgan_cli.core.backends.ncnn_files import write_ncnn
    from gramgan_cli.core.backends.networks import NcnnNetwork

    keep_freed_memory()
    torch.manual_seed(0)
    depth = 8
    stack = nn.Sequential(*(nn.Conv2d(64, 64, 3, 1, 1) for _ in range(depth))).eval()
    work = depth * 2 * 9 * 64 * 64 * SIDE**2 / 1e9
    x = torch.rand(1, 64, SIDE, SIDE)
    rates = {}
    with torch.inference_mode():
        rates["torch, NCHW"] = work / median_seconds(lambda: stack(x), repetitions)
        last = x.contiguous(memory_format=torch.channels_last)
        stack = stack.to(memory_format=torch.channels_last)
        rates["torch, channels last"] = work / median_seconds(lambda: stack(last), repetitions)
        if is_installed("ncnn"):
            with tempfile.TemporaryDirectory() as folder:
                write_ncnn(layers_of(stack), Path(folder) / "a.param")
                network = NcnnNetwork(Path(folder) / "a.param", torch.get_num_threads())
            rates["ncnn, Winograd"] = work / median_seconds(lambda: network(x), repetitions)
    return rates


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--models", nargs="+", default=["compact", "rrdbnet"], choices=["compact", "rrdbnet"])
    options.add_argument("--tools", nargs="+", default=list(TOOLS), choices=TOOLS)
    options.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        tool, weights, picture, repetitions = arguments.child
        print(json.dumps(child(tool, Path(weights), Path(picture), int(repetitions))))
        return
    measure(arguments.rounds, arguments.models, arguments.tools, arguments.json)


def measure(rounds: int, models: list[str], wanted: list[str], path: Path | None) -> None:
    """All tools on all models, in turn."""
    from gramgan_cli.core.backends.choose import BACKENDS, is_installed

    tools = [tool for tool in TOOLS if tool in wanted and (tool not in BACKENDS or is_installed(tool))]
    rates = convolution_rates(7)
    best = max(rates.values())
    for name, rate in rates.items():
        print(f"3x3 convolution, 64 channels: {rate:7.0f} GFLOP/s, {name}")
    rows: list[dict[str, Any]] = [{"convolution_gflops": rates}]
    ratios: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name:
        (picture,) = write_photos(Path(name), 1, (SIDE, SIDE), ".png")
        for model, weights in write_weights(Path(name), models).items():
            flops = network_flops(weights) / 1e9
            print(f"\n{model}: {flops:.0f} GFLOP; at the best convolution's rate {flops / best:.3f} s")
            heads = ("network", "PNG-PNG", "GFLOP/s", "peak GiB", "ratio", "of PNG", "levels")
            print(" " * 10 + "".join(f"{head:>10}" for head in heads))
            found = run_in_turn(tools, weights, picture, rounds, INNER[model])
            for tool, runs in found.items():
                row = summary(model, tool, runs, found["spandrel"], found["torch"])
                rows.append(row | {"gflop": flops, "cpu_limit_seconds": flops / best})
                ratios[model, tool] = row["ratio_whole"]
                print(
                    f"{tool:10}{row['network']:10.3f}{row['whole']:10.3f}{flops / row['network']:10.0f}"
                    f"{row['peak_gib']:10.2f}{row['ratio_network']:10.2f}{row['ratio_whole']:10.2f}{row['levels']:>10}"
                )
    goals = []
    for model, label, goal, required in (("compact", "model clean", 2.2, 2.0), ("rrdbnet", "RRDBNet-23", 1.8, 1.4)):
        fastest = max(
            (ratio for (of, tool), ratio in ratios.items() if of == model and tool != "spandrel"), default=None
        )
        goals.append(Goal(f"{label}, best backend, over spandrel eager", fastest, ">=", goal, required))
    goals.append(Goal("model clean, torch alone, over spandrel eager", ratios.get(("compact", "torch")), ">=", 1.6))
    keep("upscale", path, rows, goals)


def run_in_turn(tools: list[str], weights: Path, picture: Path, rounds: int, inner: int) -> dict[str, list[Any]]:
    """Results of each tool's processes, which take turns."""
    found: dict[str, list[Any]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            words = [sys.executable, __file__, "--child", tool, str(weights), str(picture), str(inner)]
            run = subprocess.run(words, check=True, capture_output=True, text=True)
            found[tool].append(json.loads(run.stdout.splitlines()[-1]))
    return found


def summary(model: str, tool: str, runs: list[Any], spandrel: list[Any], torch: list[Any]) -> dict[str, Any]:
    """Medians of a tool, and of the ratios of the pairs."""
    ratio = {
        what: statistics.median(b[what] / a[what] for a, b in zip(runs, spandrel, strict=True))
        for what in ("network", "whole")
    }
    levels: int | str = "-"
    if runs[0]["result"]:
        mine, reference = (bytes.fromhex(run[0]["result"]) for run in (runs, torch))
        levels = max(abs(a - b) for a, b in zip(mine, reference, strict=True))
    return {
        "model": model,
        "tool": tool,
        "network": statistics.median(run["network"] for run in runs),
        "whole": statistics.median(run["whole"] for run in runs),
        "peak_gib": max(run["peak_gib"] for run in runs),
        "ratio_network": ratio["network"],
        "ratio_whole": ratio["whole"],
        "levels": levels,
    }


if __name__ == "__main__":
    main()
