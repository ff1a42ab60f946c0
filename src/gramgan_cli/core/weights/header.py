"""gramgan's weights file: safetensors with a header in the metadata, from which the network can be built."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.errors import ForeignWeights, GramganError, ModelDamaged, ModelUnsupported
from gramgan_cli.core.io.files import check_regular_source, replacing

KEY = "gramgan"
FORMAT = 1

LARGEST_HYPERPARAMETER = 1024
"""Upper limit of hyperparameters; a larger number means a damaged or malicious file."""
LONGEST_TEXT = 200
"""Maximum number of characters of a text hyperparameter."""
LARGEST_METRIC = 1e6


@dataclass(frozen=True)
class WeightsHeader:
    """The JSON under ``gramgan`` in the safetensors metadata."""

    arch: str
    """Name of the architecture."""
    hyperparameters: dict[str, Any]
    """Keywords that build the network."""
    scale: int
    """Output side over input side."""
    licence: str = "unknown"
    """SPDX expression, if there is one."""
    trained_for: str = ""
    """One line: the kind of images the weights were trained for."""
    training: dict[str, Any] = field(default_factory=dict)
    """Training record: recipe, data, steps, hours, machine, seed; or the origin of imported weights."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """Per dataset: {"Set5": {"psnr_y": ..., "ssim_y": ...}}."""

    def to_metadata(self) -> dict[str, str]:
        """Return the header as safetensors metadata. Keys are sorted, so equal headers give equal bytes."""
        return {KEY: json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)}


def _parse(metadata: Mapping[str, str] | None, path: Path) -> WeightsHeader:
    """Parse the header from safetensors metadata; raise ``ForeignWeights`` if there is none."""
    if not metadata or KEY not in metadata:
        raise ForeignWeights(f"{path} has no gramgan header, so its network is unknown.", path)
    try:
        fields = json.loads(metadata[KEY], parse_float=_finite, parse_constant=_finite)
        json.dumps(fields, ensure_ascii=False).encode()  # lone surrogates could not be printed
        if fields.pop("format") != FORMAT:
            raise ModelUnsupported(f"{path} was written by a newer version of gramgan.", "Upgrade gramgan-cli.")
        header = WeightsHeader(**fields)
        _check_types(header)
        return header
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelDamaged(f"{path} has a damaged gramgan header ({reason}).", "Get the file again.") from error


def _finite(text: str) -> float:
    """Parse a finite number. Python's JSON reader also accepts NaN and infinities."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _check_types(header: WeightsHeader) -> None:
    """Raise ValueError for a field of the wrong type or range, since files may come from anywhere."""
    if not isinstance(header.arch, str) or not isinstance(header.hyperparameters, dict):
        raise ValueError("arch is not text, or hyperparameters is not a table")
    if type(header.scale) is not int or header.scale not in range(1, 17):
        raise ValueError("scale is not a whole number from 1 to 16")
    for key, value in header.hyperparameters.items():
        _check_hyperparameter(key, value)
    for name in ("licence", "trained_for"):
        if not isinstance(getattr(header, name), str):
            raise ValueError(f"{name} is not text")
    for name in ("training", "metrics"):
        if not isinstance(getattr(header, name), dict):
            raise ValueError(f"{name} is not a table")
    for dataset, values in header.metrics.items():
        if not isinstance(values, dict) or not all(type(value) in (int, float) for value in values.values()):
            raise ValueError(f"the metrics of {dataset} are not numbers")
        if any(abs(value) > LARGEST_METRIC for value in values.values()):
            raise ValueError(f"the metrics of {dataset} are out of range")


def _check_hyperparameter(key: str, value: object) -> None:
    """Raise ValueError for a value that can't be a hyperparameter."""
    if isinstance(value, list):
        for member in value:
            _check_hyperparameter(key, member)
    elif isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise ValueError(f"the hyperparameter '{key}' is too long")
    elif not isinstance(value, bool | int | float):
        raise ValueError(f"the hyperparameter '{key}' is not a number, text or list")
    elif not 0 <= value <= LARGEST_HYPERPARAMETER:
        raise ValueError(f"the hyperparameter '{key}' is out of range")


def save_weights(path: Path, tensors: Mapping[str, Tensor], header: WeightsHeader) -> None:
    """Write tensors and header to ``path``, atomically."""
    with replacing(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata=header.to_metadata(),
        )


def read_header(path: Path) -> WeightsHeader:
    """Read the header only, without tensors."""
    check_regular_source(path)
    try:
        with safe_open(path, framework="pt") as file:
            return _parse(file.metadata(), path)
    except FileNotFoundError as error:
        raise GramganError(f"There is no weights file {path}.") from error
    except (SafetensorError, OSError, RuntimeError) as error:  # RuntimeError: it was deleted while being opened
        raise ModelDamaged(f"{path} is not a readable safetensors file ({error}).") from error


def read_weights(path: Path) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Read header and tensors, on the CPU."""
    header = read_header(path)
    with safe_open(path, framework="pt") as file:
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load all tensors into ``network``; raise for the first missing, unexpected or misshapen key."""
    own = network.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise ModelDamaged(f"{source}: the key '{name}' does not belong to this network.")
        if own[name].shape != tensor.shape:
            raise ModelDamaged(
                f"{source}: '{name}' has shape {tuple(tensor.shape)}, the network needs {tuple(own[name].shape)}."
            )
    missing = [name for name in own if name not in tensors]
    if missing:
        raise ModelDamaged(f"{source}: the key '{missing[0]}' is missing ({len(missing)} of {len(own)} keys are).")
    network.load_state_dict(dict(tensors))


def build_from_file(path: Path) -> tuple[nn.Module, WeightsHeader]:
    """Build the network of a weights file, in evaluation mode, on the CPU in fp32."""
    header, tensors = read_weights(path)
    network = archs.build(header.arch, header.hyperparameters)
    load_into(network, {name: tensor.float() for name, tensor in tensors.items()}, str(path))
    return network.eval(), header
