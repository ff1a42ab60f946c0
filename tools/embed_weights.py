"""Put a run's weights into the package as an embedded model, with the numbers that bench measures of them.

    python tools/embed_weights.py runs/clean/last.safetensors clean "clean photos, reduced by bicubic" DATA_DIR

DATA_DIR holds the folders Set5 and Set14. ``--from clean --alpha 0.65`` first mixes the run's weights with those of
an embedded model, 0.65 of the run (network interpolation), and the header says so. ``--from clean --since OLD
--alpha 1.15`` carries what a training changed since the weights OLD, 1.15 times, to an embedded model that was
trained on after OLD (task arithmetic; Ilharco et al. 2023, "Editing models with task arithmetic", section 2).
``--half`` writes half precision. ``--checkout`` does too, puts the weights into the repository's folder ``weights``
instead, and prints their entry of the catalogue.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from gramgan_cli.core import archs
from gramgan_cli.core.weights.header import read_header, read_weights, save_weights
from gramgan_cli.core.weights.mixing.interpolate import check_alike, interpolate

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "gramgan_cli" / "weights"
LARGEST = 3_000_000
"""Largest embedded model in bytes."""


def measured(model: str, data: Path) -> dict[str, dict[str, float]]:
    """Y-PSNR and SSIM on Set5 and Set14, measured like ``gramgan bench``."""
    words = ["bench", "Set5", "Set14", "--data-dir", str(data), "--model", model, "--json"]
    done = subprocess.run([sys.executable, "-m", "gramgan_cli", *words], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)["results"]
    return {row["dataset"]: {"psnr_y": round(row["psnr_y"], 4), "ssim_y": round(row["ssim_y"], 4)} for row in rows}


def carried(
    base: Mapping[str, Tensor], weights: Mapping[str, Tensor], since: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """base + share (weights - since), computed in float64."""
    return {
        name: (tensor.double() + share * (weights[name].double() - since[name].double())).to(tensor.dtype)
        for name, tensor in base.items()
    }


def entry(file: Path, name: str) -> str:
    """Catalogue entry of a file that is only in the repository."""
    content, header = file.read_bytes(), read_header(file)
    parameters = archs.parameter_count(archs.build(header.arch, header.hyperparameters))
    return (
        f'[{name}]\nurl = ""\nsha256 = "{hashlib.sha256(content).hexdigest()}"\nsize = {len(content)}\n'
        f'licence = "{header.licence}"\narch = "{header.arch}"\nscale = {header.scale}\nparameters = {parameters}\n'
        f'trained_for = "{header.trained_for}"'
    )


def main() -> None:
    """Measure, complete the header, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("trained_for")
    parser.add_argument("data", type=Path)
    parser.add_argument("--from", dest="start", metavar="NAME", help="embedded model to mix the run's weights with")
    parser.add_argument("--since", type=Path, metavar="OLD", help="carry over what changed since these weights")
    parser.add_argument("--alpha", type=float, default=1.0, help="the run's share, or the change's factor")
    parser.add_argument("--half", action="store_true", help="in half precision")
    parser.add_argument("--checkout", action="store_true", help="into weights/, in half precision, not the package")
    arguments = parser.parse_args()
    if arguments.since and not arguments.start:
        parser.error("--since needs --from, the embedded model that the change is carried to")
    header, tensors = read_weights(arguments.weights)
    training = header.training
    if arguments.start:
        first, other = read_weights(PACKAGE / f"{arguments.start}.safetensors")
        check_alike(first, header, (arguments.start, arguments.name))
        if arguments.since:
            tensors = carried(other, tensors, read_weights(arguments.since)[1], arguments.alpha)
            training = {**training, "carried": {"to": arguments.start, "factor": arguments.alpha}}
        else:
            tensors = interpolate(other, tensors, arguments.alpha)
            training = {**training, "interpolated": {"from": arguments.start, "alpha": arguments.alpha}}
    target = (ROOT / "weights" if arguments.checkout else PACKAGE) / f"{arguments.name}.safetensors"
    target.parent.mkdir(exist_ok=True)
    if arguments.half or arguments.checkout:
        tensors = {key: tensor.half() for key, tensor in tensors.items()}
    header = replace(
        header,
        hyperparameters=archs.complete(header.arch, header.hyperparameters),
        trained_for=arguments.trained_for,
        training=training,
    )
    save_weights(target, tensors, header)
    # by its name, as upscale would use it: with restoration, if it has it
    model = str(target) if arguments.checkout else arguments.name
    save_weights(target, tensors, replace(header, metrics=measured(model, arguments.data)))
    if arguments.checkout:
        print(entry(target, arguments.name))
    elif target.stat().st_size > LARGEST:
        sys.exit(f"{target} has {target.stat().st_size} bytes, more than the {LARGEST} that the wheel may carry.")
    print(f"{target}: {read_header(target).metrics}")


if __name__ == "__main__":
    main()
