"""Put convolutions that change nothing into Compact weights, to train the deeper network on from there.

    python tools/grow_compact.py runs/psnr/last.safetensors runs/grown.safetensors 6 11
    gramgan train --recipe psnr --init runs/grown.safetensors --hr-dir DIR

The numbers say after which of the middle convolutions (counted from 1) a new one goes: the identity, so the grown
network gives what the first gave (Chen, Goodfellow, Shlens 2016, "Net2Net", section 2.3). Net2Net grows ReLUs, which
don't change when they come twice; a PReLU of slope a is shared out here between two, whose slopes have the product a,
so that both bend from the first step on.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gramgan_cli.core import archs
from gramgan_cli.core.weights.header import read_weights, save_weights


def grown(weights: Mapping[str, Tensor], nf: int, after: Collection[int]) -> dict[str, Tensor]:
    """Weights of a Compact network with nf channels, deeper by len(after), with the same output as ``weights``.

    Convolution i of the network (0 is its first) is ``body.2i``, its PReLU ``body.2i+1``.
    """
    kernel = torch.zeros(nf, nf, 3, 3)
    kernel[:, :, 1, 1].fill_diagonal_(1)
    result: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        layer, kind = name.removeprefix("body.").split(".")
        before = sum(one < int(layer) // 2 for one in after)
        result[f"body.{int(layer) + 2 * before}.{kind}"] = tensor
    for count, one in enumerate(sorted(after), start=1):
        position = 2 * (one + count)
        first, second = shared(result[f"body.{position - 1}.weight"])
        result[f"body.{position - 1}.weight"] = first
        result[f"body.{position}.weight"] = kernel.clone()
        result[f"body.{position}.bias"] = torch.zeros(nf)
        result[f"body.{position + 1}.weight"] = second
    return result


def shared(slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of two consecutive PReLUs that are equivalent to one with the given slopes.

    The first is at least 0 and keeps the sign, so both act on the same values: sqrt|a| and a / sqrt|a|.
    """
    root = slopes.abs().sqrt()
    return root, torch.copysign(root, slopes)


def main() -> None:
    """Read, grow and write weights; the header records the added convolutions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("after", type=int, nargs="+", metavar="AFTER", help="a middle convolution's number, from 1")
    arguments = parser.parse_args()
    header, weights = read_weights(arguments.weights)
    if header.arch != "compact":
        parser.error(f"{arguments.weights} holds weights of {header.arch}; only compact grows by identities.")
    shape = archs.complete(header.arch, header.hyperparameters)
    nf, nc, after = shape["nf"], shape["nc"], set(arguments.after)
    if not after <= set(range(1, nc + 1)):
        parser.error(f"The middle convolutions of {arguments.weights} are 1 to {nc}.")
    shape["nc"] = nc + len(after)
    training = {**header.training, "grown": {"after": sorted(after)}}
    header = replace(header, hyperparameters=shape, training=training)
    save_weights(arguments.result, grown(weights, nf, after), header)
    print(f"{arguments.result}: Compact {nf}x{shape['nc']}, which gives what {arguments.weights} gives.")


if __name__ == "__main__":
    main()
