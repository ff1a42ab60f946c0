"""Our weights file: safetensors, whose metadata says all that is needed to build and judge the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.files import replacing

KEY = "gramgan"
FORMAT = 1


@dataclass(frozen=True)
class WeightsHeader:
    """The JSON under ``gramgan`` in the safetensors metadata."""

    arch: str
    """Name in the table of architectures."""
    hyperparameters: dict[str, Any]
    """Keywords that build the network."""
    scale: int
    """Output side over input side."""
    licence: str = "unknown"
    """SPDX identifier where there is one."""
    trained_for: str = ""
    """One line: what pictures the weights were made for."""
    training: dict[str, Any] = field(default_factory=dict)
    """Training record: recipe, data, steps, hours, machine, seed; or where imported weights came from."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """Per dataset: {"Set5": {"psnr_y": ..., "ssim_y": ...}}."""

    def to_metadata(self) -> dict[str, str]:
        """The safetensors metadata of this header. Keys are sorted, so equal headers give equal bytes."""
        return {KEY: json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)}


def _parse(metadata: Mapping[str, str] | None, path: Path) -> WeightsHeader:
    """The header in safetensors metadata; an error that says how to bring foreign files in where there is none."""
    if not metadata or KEY not in metadata:
        raise GramganError(
            f"{path} has no gramgan header, so its network is not known.",
            f"Bring it in with: gramgan models import {path} --name NAME",
        )
    try:
        fields = json.loads(metadata[KEY])
        if fields.pop("format") != FORMAT:
            raise GramganError(f"{path} was written by a newer gramgan.", "Upgrade with: pip install -U gramgan-cli")
        header = WeightsHeader(**fields)
        _check_types(header)
        return header
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GramganError(f"{path} has a damaged gramgan header ({error}).") from error


def _check_types(header: WeightsHeader) -> None:
    """Raise ValueError for a field that is not what lists and tables take it for; files come from anywhere."""
    for name in ("licence", "trained_for"):
        if not isinstance(getattr(header, name), str):
            raise ValueError(f"{name} is no text")
    for name in ("training", "metrics"):
        if not isinstance(getattr(header, name), dict):
            raise ValueError(f"{name} is no table")
    for dataset, values in header.metrics.items():
        if not isinstance(values, dict) or not all(isinstance(value, int | float) for value in values.values()):
            raise ValueError(f"the metrics of {dataset} are no numbers")


def save_weights(path: Path, tensors: Mapping[str, Tensor], header: WeightsHeader) -> None:
    """Write tensors and header to ``path``, atomically."""
    with replacing(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata=header.to_metadata(),
        )


def read_header(path: Path) -> WeightsHeader:
    """The header alone; no tensor is read."""
    try:
        with safe_open(path, framework="pt") as file:
            return _parse(file.metadata(), path)
    except FileNotFoundError as error:
        raise GramganError(f"There is no weights file {path}.") from error
    except (SafetensorError, OSError, RuntimeError) as error:  # RuntimeError: it vanished while being opened
        raise GramganError(f"{path} is not a readable safetensors file ({error}).") from error


def read_weights(path: Path) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Header and tensors, on the CPU."""
    header = read_header(path)
    with safe_open(path, framework="pt") as file:
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor into ``network``; a missing, unexpected or misshapen key is an error that names it."""
    own = network.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise GramganError(f"{source}: the key '{name}' does not belong to this network.")
        if own[name].shape != tensor.shape:
            raise GramganError(
                f"{source}: '{name}' has shape {tuple(tensor.shape)}, the network needs {tuple(own[name].shape)}."
            )
    missing = [name for name in own if name not in tensors]
    if missing:
        raise GramganError(f"{source}: the key '{missing[0]}' is missing ({len(missing)} of {len(own)} are).")
    network.load_state_dict(dict(tensors))


def build_from_file(path: Path) -> tuple[nn.Module, WeightsHeader]:
    """The network of a weights file, in evaluation mode, on the CPU in fp32."""
    header, tensors = read_weights(path)
    network = archs.build(header.arch, header.hyperparameters)
    load_into(network, {name: tensor.float() for name, tensor in tensors.items()}, str(path))
    return network.eval(), header
