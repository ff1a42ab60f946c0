"""Reading other tools' state dicts from .pth and .safetensors files, without executing code in pickles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from gramgan_cli.core.errors import GramganError, ModelDamaged, ModelUnsupported, naming
from gramgan_cli.core.io.files import check_regular_source
from gramgan_cli.core.io.pickles import check_size, is_plain, read_pickle
from gramgan_cli.core.weights import interop
from gramgan_cli.core.weights.header import KEY, WeightsHeader, read_weights
from gramgan_cli.core.weights.layouts import own_names, recognise
from gramgan_cli.core.weights.load import assemble

WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Keys under which trainers store the network in a checkpoint; the first that exists is used."""

PREFIXES = re.compile(r"^(?:(?:module|_orig_mod)\.)+")
"""Prefixes that data-parallel training and ``torch.compile`` add to every name."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, on the CPU, without wrappers and prefixes.

    Pickles are read with ``weights_only``, so no code in them is executed. Raises GramganError for a missing, damaged
    or unsafe file, and for one without tensors.
    """
    content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else read_pickle(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ModelUnsupported(f"{path} contains no network weights.")
    for name, tensor in content.items():
        if not is_plain(tensor):
            raise ModelUnsupported(
                f"{path} is not a plain checkpoint: '{name}' is a {type(tensor).__name__}, not a plain tensor."
            )
    tensors = {PREFIXES.sub("", str(name)): tensor for name, tensor in content.items()}
    check_size(tensors, path)
    return {name: tensor.clone() for name, tensor in tensors.items()}  # safetensors rejects tensors that share memory


def is_ours(path: Path) -> bool:
    """Return whether the file has gramgan's header."""
    if path.suffix.lower() != ".safetensors":
        return False
    check_regular_source(path)
    try:
        with safe_open(path, framework="pt") as file:
            return KEY in (file.metadata() or {})
    except FileNotFoundError as error:
        raise GramganError(f"There is no file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise ModelDamaged(f"{path} is not a readable safetensors file ({error}).") from error


def convert(
    path: Path, licence: str | None, record: dict[str, Any], trained_for: str = ""
) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Return header and tensors, under our names, of a gramgan weights file or another tool's checkpoint.

    The tensors are checked to match the network exactly. Unknown layouts are passed to spandrel if it is installed.
    Raises GramganError, naming the first key that does not match, or for an unknown layout.

    Args:
        path: .safetensors with or without gramgan's header, or a torch checkpoint.
        licence: SPDX expression; None uses the header's, or 'unknown'.
        record: origin of the file, used as training record if the file has none.
        trained_for: one line, for files without it.
    """
    if is_ours(path):
        header, tensors = read_weights(path)
        header = replace(header, licence=licence or header.licence)
        tensors = own_names(header.arch, tensors)
    else:
        header, tensors = _recognise(path, licence or "unknown", record, trained_for)
    if is_ours(path) or header.arch == interop.ARCH:
        assemble("", header, tensors, path)
    return header, tensors


def _recognise(
    path: Path, licence: str, record: dict[str, Any], trained_for: str
) -> tuple[WeightsHeader, dict[str, Tensor]]:
    tensors = read_state_dict(path)
    refuse_unsupported_layouts(tensors, path)
    try:
        with naming(path):
            known = recognise(tensors)
        if known is not None:
            scale: int = known.hyperparameters["scale"]
            header = WeightsHeader(known.arch, known.hyperparameters, scale, licence, trained_for, record)
            assemble("", header, known.tensors, path)
            return header, known.tensors
    except GramganError:
        # The names are those of a network of ours, but it may be a variant: x8, ESRGAN+, no unshuffling.
        if not interop.is_installed():
            raise
        with suppress(GramganError):
            return _through_spandrel(tensors, path, licence, trained_for, record)
        raise
    return _through_spandrel(tensors, path, licence, trained_for, record)


def _through_spandrel(
    tensors: dict[str, Tensor], path: Path, licence: str, trained_for: str, record: dict[str, Any]
) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Return header and tensors of a network that gramgan does not build itself."""
    found = interop.identify(tensors, path)
    return WeightsHeader(interop.ARCH, found, found["scale"], licence, trained_for, record), tensors


STRANGERS = {
    "SRFormer": re.compile(r"\.attn\.aligned_relative_position_index$"),
    "GFPGAN": re.compile(r"^stylegan_decoder(?:UDC)?\."),
    "CodeFormer": re.compile(r"^(?:idx_pred_layer|position_emb)"),
    "RestoreFormer": re.compile(r"^quantize\.embedding"),
}
"""Well-known networks that gramgan can't run, each with a pattern of their tensors' names."""


def refuse_unsupported_layouts(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise ModelUnsupported, with the network's name, for well-known networks that can't be used here."""
    for design, pattern in STRANGERS.items():
        if any(pattern.search(name) for name in tensors):
            why = "is not supported" if design == "SRFormer" else "restores single faces, not whole photos"
            raise ModelUnsupported(f"{path} is a {design} model, which {why}.")


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise GramganError(f"There is no file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise ModelDamaged(f"{path} is not a readable safetensors file ({error}).") from error
