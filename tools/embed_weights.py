"""Put a run's weights into the package as an embedded model, with the numbers that bench measures of them.

    python tools/embed_weights.py runs/default/last.safetensors default "clean photos, reduced by bicubic" DATA_DIR

DATA_DIR holds the folders Set5 and Set14.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from gramgan_cli.core import archs
from gramgan_cli.core.weights.header import read_weights, save_weights

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "gramgan_cli" / "weights"
LARGEST = 3_000_000
"""Bytes of an embedded model."""


def measured(weights: Path, data: Path) -> dict[str, dict[str, float]]:
    """Y-PSNR and SSIM on Set5 and Set14, as ``gramgan bench`` prints them."""
    words = ["bench", "Set5", "Set14", "--data-dir", str(data), "--model", str(weights), "--json"]
    done = subprocess.run([sys.executable, "-m", "gramgan_cli", *words], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)["results"]
    return {row["dataset"]: {"psnr_y": round(row["psnr_y"], 4), "ssim_y": round(row["ssim_y"], 4)} for row in rows}


def main() -> None:
    """Measure, complete the header, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("trained_for")
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    header, tensors = read_weights(arguments.weights)
    header = replace(
        header,
        hyperparameters=archs.complete(header.arch, header.hyperparameters),
        trained_for=arguments.trained_for,
        metrics=measured(arguments.weights, arguments.data),
    )
    target = PACKAGE / f"{arguments.name}.safetensors"
    save_weights(target, tensors, header)
    if target.stat().st_size > LARGEST:
        sys.exit(f"{target} has {target.stat().st_size} bytes, more than the {LARGEST} that the wheel may carry.")
    print(f"{target}: {header.metrics}")


if __name__ == "__main__":
    main()
