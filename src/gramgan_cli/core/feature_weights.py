"""Weights of the frozen networks used by losses and metrics: published ones from the cache, or from a file."""

from __future__ import annotations

import os
import pickle
import urllib.error
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.folders import cache_dir


class FeatureWeightsMissing(GramganError):
    """The weights are missing and can't be downloaded; the hint says which file to place where."""


def cached_file(name: str) -> Path:
    """Return the cache's path for a weights file of this name."""
    return cache_dir() / "features" / name


def published_weights(url: str, name: str) -> dict[str, Tensor]:
    """Return torchvision's weights from ``url``, downloaded into the cache if needed.

    Args:
        url: torchvision's URL; the file name contains the beginning of its checksum.
        name: name of the network, for messages.

    Raises:
        FeatureWeightsMissing: the file is missing and can't be downloaded; the hint says where to put it by hand.
        GramganError: the file is damaged.
    """
    file = cached_file(Path(url).name)
    by_hand = f"Download {url} on another computer and put it at {file}."
    if not file.is_file() and os.environ.get("GRAMGAN_OFFLINE", "") not in ("", "0"):
        raise FeatureWeightsMissing(f"The weights of {name} are not in the cache, and GRAMGAN_OFFLINE is set.", by_hand)
    try:
        weights: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, model_dir=str(file.parent), map_location="cpu", check_hash=True, weights_only=True
        )
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)  # without "<urlopen error ...>"
        raise FeatureWeightsMissing(f"The weights of {name} can't be downloaded ({reason}).", by_hand) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise GramganError(f"The weights of {name} at {file} are damaged.", "Delete the file and try again.") from error
    return weights


def tensors_of_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pth or .safetensors file as fp32.

    Raises:
        GramganError: there is no such file, or it is not a file of tensors.
    """
    if not path.is_file():
        raise GramganError(f"There is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float() for name, tensor in found.items()}
    except (SafetensorError, OSError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        raise GramganError(f"{path} can't be read as weights: {error}.") from error


def convolutions(weights: dict[str, Tensor], wanted: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Select the convolutions ``wanted`` (keys ``N.weight``, ``N.bias``) from torchvision's ``features.N.*``.

    Raises:
        GramganError: a tensor is missing or has another shape.
    """
    found = {}
    for key, value in wanted.items():
        tensor = weights.get(f"features.{key}")
        if tensor is None or tensor.shape != value.shape:
            state = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}, not {tuple(value.shape)}"
            raise GramganError(
                f"'features.{key}' is {state} in {source}.", "Use a file with torchvision's tensor names."
            )
        found[key] = tensor
    return found
