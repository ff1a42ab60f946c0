"""RRDBNet-23 on 512x512 on a GPU, compared with the usual way (eager fp16, NCHW, whole picture).

    python benchmarks/bench_gpu.py [--rounds 5] [--json FILE]

Prints the measured fp16 peak (a large matrix product), the network's share of it, and peak memory. Does nothing
without a GPU.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from common import Goal, keep, parser, seconds

from gramgan_cli.core import archs
from gramgan_cli.core.weights.header import WeightsHeader
from gramgan_cli.core.weights.load import LoadedModel
from gramgan_cli.engines.upscale.upscaler import Upscaler

SIDE = 512
TRAINING = (
    Goal("RRDBNet-23 GAN step over eager TF32, batch 16, LR 48, one H100", None, ">=", 2.5),
    Goal("PSNR that bf16 loses after 500 steps, dB", None, "<=", 0.05),
)


def measure(rounds: int) -> dict[str, Any]:
    """Seconds of both ways, taking turns on the first CUDA device."""
    import numpy as np

    device = torch.device("cuda")
    torch.manual_seed(0)
    network = archs.build("rrdbnet", {}).eval()
    header = WeightsHeader("rrdbnet", {}, 4)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    usual_network = archs.build("rrdbnet", {}).eval()
    usual_network.load_state_dict(network.state_dict())
    usual_network = usual_network.to(device).half()
    upscaler = Upscaler(
        LoadedModel("rrdbnet", network, header, archs.describe("rrdbnet", {})), device, precision="fp16"
    )

    def usual() -> Any:
        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].to(device).half() / 255
            return (usual_network(x)[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    a = torch.rand(8192, 8192, device=device, dtype=torch.float16)

    def product() -> None:
        for _ in range(10):
            torch.mm(a, a)
        torch.cuda.synchronize()

    def best(run: Callable[[], object]) -> float:
        run()
        return statistics.median(seconds(run) for _ in range(rounds))

    peak_rate = 10 * 2 * 8192**3 / best(product)
    upscaler.upscale(image)
    usual()
    torch.cuda.reset_peak_memory_stats()
    pairs = [(seconds(lambda: upscaler.upscale(image)), seconds(usual)) for _ in range(rounds)]
    flops = 2 * 17.93e6 * SIDE**2
    own = statistics.median(a for a, _ in pairs)
    return {
        "device": torch.cuda.get_device_name(),
        "gramgan": own,
        "usual": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
        "peak_tflops": peak_rate / 1e12,
        "roofline_seconds": flops / peak_rate,
        "share_of_peak": flops / own / peak_rate,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    arguments = options.parse_args()
    found = measure(arguments.rounds) if torch.cuda.is_available() else {}
    if found:
        print(found)
    else:
        print("There is no CUDA device here: nothing was measured.")
    ratio = Goal("RRDBNet-23, 512x512, GPU, over eager fp16 NCHW", found.get("ratio"), ">=", 2.0)
    keep("gpu", arguments.json, found, [ratio, *TRAINING])


if __name__ == "__main__":
    main()
