"""Reading what others publish: state dicts in .pth and .safetensors files, never executing what lies in a pickle."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from gramgan_cli.core.errors import GramganError, said_of
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import KEY, WeightsHeader, read_weights
from gramgan_cli.core.weights.layouts import own_names, recognise
from gramgan_cli.core.weights.load import assemble

WRAPPERS = ("params_ema", "params", "state_dict")
"""Where trainers put the network inside a checkpoint; the first that is there is taken."""

PREFIX = "module."
"""What data-parallel training puts before every name."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, out of their wrappers.

    Pickles are read with ``weights_only``, so nothing in them is executed. Raises GramganError for a missing,
    damaged or forbidden file, and for one without tensors.
    """
    content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise GramganError(f"{path} holds no network weights.")
    tensors = {}
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise GramganError(
                f"{path} is not a plain checkpoint: '{name}' is a {type(tensor).__name__}, not a tensor."
            )
        tensors[str(name).removeprefix(PREFIX)] = tensor.clone()  # two names may share one, which safetensors refuses
    return tensors


def is_ours(path: Path) -> bool:
    """Whether the file has gramgan's header."""
    if path.suffix.lower() != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return KEY in (file.metadata() or {})
    except FileNotFoundError as error:
        raise GramganError(f"There is no file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise GramganError(f"{path} is not a readable safetensors file ({error}).") from error


def convert(
    path: Path, licence: str | None, record: dict[str, Any], trained_for: str = ""
) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Header and tensors, under our names, of a weights file of ours or of another tool's checkpoint.

    Everything is checked to fit the network exactly. A layout that is not known goes through spandrel where that is
    installed. Raises GramganError naming the first key that does not fit, or saying that the layout is not known.

    Args:
        path: .safetensors with or without gramgan's header, or a checkpoint that torch wrote.
        licence: SPDX identifier; where None, what the header says, or 'unknown'.
        record: where it came from: the training record of files that have none.
        trained_for: one line, for files that don't say it themselves.
    """
    if is_ours(path):
        header, tensors = read_weights(path)
        header = replace(header, licence=licence or header.licence)
        tensors = own_names(header.arch, tensors)
    else:
        header, tensors = _recognise(path, licence or "unknown", record, trained_for)
    assemble("", header, tensors, path)
    return header, tensors


def _recognise(
    path: Path, licence: str, record: dict[str, Any], trained_for: str
) -> tuple[WeightsHeader, dict[str, Tensor]]:
    tensors = read_state_dict(path)
    with said_of(path):
        known = recognise(tensors)
    if known is None:
        found = interop.identify(tensors, path)
        return WeightsHeader(interop.ARCH, found, found["scale"], licence, trained_for, record), tensors
    scale: int = known.hyperparameters["scale"]
    return WeightsHeader(known.arch, known.hyperparameters, scale, licence, trained_for, record), known.tensors


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise GramganError(f"There is no file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise GramganError(f"{path} is not a readable safetensors file ({error}).") from error


def _read_pickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise GramganError(f"There is no file {path}.") from error
    except pickle.UnpicklingError as error:
        raise GramganError(
            f"{path} is no checkpoint, or holds more than tensors, which could run code and is not loaded.",
            "Ask its publisher for a safetensors file.",
        ) from error
    except Exception as error:
        # torch's reader runs a stack machine over bytes that may be anything, and fails in as many ways.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise GramganError(f"{path} is not a readable checkpoint ({reason}).") from error
