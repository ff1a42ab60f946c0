"""Other tools' names for the same tensors, and hyperparameters inferred from tensor shapes.

Supported layouts:

- Compact (Real-ESRGAN's SRVGGNetCompact): ``body.N.weight``, which are also our names.
- RRDBNet with the nearest-neighbour upsampler, under three sets of names: BasicSR's (``body.0.rdb1.conv1.weight``),
  ESRGAN's newer ones (``RRDB_trunk.0.RDB1.conv1.weight``) and its older ones (``model.1.sub.0.RDB1.conv1.0.weight``).
- DRUNet, whose published checkpoints take a noise level as one more channel. Its kernels are zero in exported files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from gramgan_cli.core.errors import GramganError

Tensors = Mapping[str, Tensor]

_BASICSR = {
    "conv_body": "trunk_conv",
    "conv_up1": "upconv1",
    "conv_up2": "upconv2",
    "conv_up3": "upconv3",
    "conv_hr": "hr_conv",
}
"""BasicSR's layer names -> ours."""

_ESRGAN = {"HRconv": "hr_conv"}
"""Newer ESRGAN layer names -> ours; all others are the same."""

_OLD_TAIL = ("upconv1", "upconv2", "hr_conv", "conv_last")
"""Layers after the trunk, in the order of the older ESRGAN's numbers."""


@dataclass(frozen=True)
class Recognised:
    """Another tool's tensors under our names, and the network that they belong to."""

    arch: str
    """Name of the architecture."""
    hyperparameters: dict[str, Any]
    """Keywords that build the network."""
    tensors: dict[str, Tensor]
    """Tensors under our names; unknown keys keep theirs."""


def recognise(tensors: Tensors) -> Recognised | None:
    """Return the network that another tool's state dict belongs to, or None for an unknown layout."""
    if _is_compact(tensors):
        return Recognised("compact", _compact_hyperparameters(tensors), dict(tensors))
    if "model.1.sub.0.RDB1.conv1.0.weight" in tensors:
        renamed = _from_old_esrgan(tensors)
    else:
        renamed = own_names("rrdbnet", tensors)
    if not {"trunk.0.rdb1.conv1.weight", "conv_first.weight", "conv_last.weight"} <= renamed.keys():
        return None
    return Recognised("rrdbnet", _rrdbnet_hyperparameters(renamed), renamed)


def own_names(arch: str, tensors: Tensors) -> dict[str, Tensor]:
    """Rename tensors of an ``arch`` from BasicSR's or ESRGAN's newer names to ours; other names are kept."""
    if arch == "drunet":
        return _without_noise_level(tensors)
    if arch != "rrdbnet":
        return dict(tensors)
    return {_own_rrdbnet_name(name): tensor for name, tensor in tensors.items()}


def basicsr_names(arch: str, tensors: Tensors) -> dict[str, Tensor]:
    """Rename tensors from our names to BasicSR's, which most other tools load."""
    if arch == "drunet":
        return _with_noise_level(tensors)
    if arch != "rrdbnet":
        return dict(tensors)
    theirs = {ours: name for name, ours in _BASICSR.items()}
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, rest = name.partition(".")
        renamed["body." + rest if layer == "trunk" else f"{theirs.get(layer, layer)}.{rest}"] = tensor
    return renamed


_HEAD = "m_head.weight"
"""DRUNet's first convolution."""


def _with_noise_level(tensors: Tensors) -> dict[str, Tensor]:
    """Add an input channel without effect to DRUNet's first convolution, for the noise level that other tools pass."""
    return {name: F.pad(tensor, (0, 0, 0, 0, 0, 1)) if name == _HEAD else tensor for name, tensor in tensors.items()}


def _without_noise_level(tensors: Tensors) -> dict[str, Tensor]:
    """Remove the fourth input channel of DRUNet's first convolution if it has no effect."""
    head = tensors.get(_HEAD)
    if head is None or head.ndim != 4 or head.shape[1] != 4 or head[:, 3].any():
        return dict(tensors)
    return {**tensors, _HEAD: head[:, :3].contiguous()}


def _own_rrdbnet_name(name: str) -> str:
    layer, _, rest = name.partition(".")
    if layer in ("body", "RRDB_trunk"):
        return "trunk." + rest.replace("RDB", "rdb")
    layer = _BASICSR.get(layer, _ESRGAN.get(layer, layer))
    return f"{layer}.{rest}" if rest else layer


def _from_old_esrgan(tensors: Tensors) -> dict[str, Tensor]:
    """Rename the older ESRGAN's numbered layers to ours; empty unless the tail has the four layers of a x4 network."""
    numbers = {int(match[1]) for name in tensors if (match := re.fullmatch(r"model\.(\d+)\.weight", name))}
    after_trunk = sorted(numbers - {0})
    if len(after_trunk) != len(_OLD_TAIL):
        return {}
    layers = {f"model.{number}": ours for number, ours in zip(after_trunk, _OLD_TAIL, strict=True)}
    layers["model.0"] = "conv_first"
    last = max(int(match[1]) for name in tensors if (match := re.match(r"model\.1\.sub\.(\d+)\.", name)))
    layers[f"model.1.sub.{last}"] = "trunk_conv"
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if layer in layers:
            renamed[f"{layers[layer]}.{kind}"] = tensor
        else:
            # model.1.sub.0.RDB1.conv1.0.weight -> trunk.0.rdb1.conv1.weight
            block = re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0", layer)
            ours = f"trunk.{block[1]}.rdb{block[2]}.conv{block[3]}.{kind}" if block else name
            renamed[ours] = tensor
    return renamed


def _is_compact(tensors: Tensors) -> bool:
    first, activation = tensors.get("body.0.weight"), tensors.get("body.1.weight")
    return first is not None and first.ndim == 4 and activation is not None and activation.ndim == 1


def _kernel(tensors: Tensors, name: str) -> Tensor:
    """Return a convolution's kernel; raise if the tensor of that name is not 4-dimensional or is empty."""
    if tensors[name].ndim != 4 or 0 in tensors[name].shape:
        raise GramganError(f"'{name}' has shape {tuple(tensors[name].shape)}, which is not that of a convolution.")
    return tensors[name]


def _compact_hyperparameters(tensors: Tensors) -> dict[str, Any]:
    """Infer hyperparameters; ``body`` is conv, PReLU, nc times the same, and a last conv to out_nc scale^2 channels."""
    nf, in_nc = _kernel(tensors, "body.0.weight").shape[:2]
    kernels = {
        int(match[1])
        for name, tensor in tensors.items()
        if (match := re.fullmatch(r"body\.(\d{1,6})\.weight", name)) and tensor.ndim == 4
    }
    last = max(kernels)
    missing = next((index for index in range(0, last, 2) if index not in kernels), None)
    if missing is not None:  # before a network of that many convolutions is built
        raise GramganError(f"'body.{missing}.weight' is missing.")
    scale = math.isqrt(_kernel(tensors, f"body.{last}.weight").shape[0] // in_nc)
    return {"in_nc": in_nc, "out_nc": in_nc, "nf": nf, "nc": (last - 2) // 2, "scale": scale}


def _rrdbnet_hyperparameters(tensors: Tensors) -> dict[str, Any]:
    """Infer hyperparameters. in_nc / out_nc is the square of the unshuffle factor, 4 / scale.

    Without unshuffling, three upsampling steps make x8. One step is x3 if it shuffles pixels by 3; other files with one
    step are x2 and belong to another layout.
    """
    nf, first_in = _kernel(tensors, "conv_first.weight").shape[:2]
    out_nc = _kernel(tensors, "conv_last.weight").shape[0]
    unshuffle = math.isqrt(first_in // out_nc) if first_in > out_nc else 1
    blocks = {match[1] for name in tensors if (match := re.match(r"trunk\.(\d+)\.", name))}
    upsampled = _kernel(tensors, "upconv1.weight").shape[0] if "upconv1.weight" in tensors else nf
    scale = 4 // unshuffle
    if unshuffle == 1 and "upconv3.weight" in tensors:
        scale = 8
    if unshuffle == 1 and upsampled == 9 * nf:
        scale = 3
    return {
        "in_nc": first_in // unshuffle**2,
        "out_nc": out_nc,
        "nf": nf,
        "nb": len(blocks),
        "gc": _kernel(tensors, "trunk.0.rdb1.conv1.weight").shape[0],
        "scale": scale,
        "upsampler": "pixelshuffle" if upsampled == (9 if scale == 3 else 4) * nf else "nearest",
    }
