"""Weights of the networks that losses and metrics look through: published ones from the cache, or a file's."""

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
    """The weights are not there and can't be fetched; the hint says which file belongs where."""


def cached_file(name: str) -> Path:
    """Where the cache holds weights of the file name ``name``."""
    return cache_dir() / "features" / name


def published_weights(url: str, name: str) -> dict[str, Tensor]:
    """torchvision's file of ``url`` from the cache, fetched there first if it must be.

    Args:
        url: where torchvision publishes it; the file's name carries the beginning of its checksum.
        name: the network, for messages.

    Raises:
        FeatureWeightsMissing: it is not there and can't be fetched; the hint says where to put it by hand.
        GramganError: it is damaged.
    """
    file = cached_file(Path(url).name)
    by_hand = f"Fetch {url} elsewhere and put it at {file}."
    if not file.is_file() and os.environ.get("GRAMGAN_OFFLINE", "") not in ("", "0"):
        raise FeatureWeightsMissing(f"The weights of {name} are not in the cache, and GRAMGAN_OFFLINE is set.", by_hand)
    try:
        weights: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, model_dir=str(file.parent), map_location="cpu", check_hash=True, weights_only=True
        )
    except (urllib.error.URLError, OSError) as error:
        raise FeatureWeightsMissing(f"The weights of {name} can't be fetched ({error}).", by_hand) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise GramganError(f"The weights of {name} at {file} are damaged.", "Delete the file and try again.") from error
    return weights


def tensors_of_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth or .safetensors file, as fp32.

    Raises:
        GramganError: there is no such file, or it holds no tensors.
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
    """Of torchvision's ``features.N.weight`` and ``.bias`` those that ``wanted`` has (``N.weight``), checked.

    Raises:
        GramganError: one is missing or has another shape.
    """
    found = {}
    for key, value in wanted.items():
        tensor = weights.get(f"features.{key}")
        if tensor is None or tensor.shape != value.shape:
            state = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}, not {tuple(value.shape)}"
            raise GramganError(f"'features.{key}' is {state} in {source}.", "Its names must be torchvision's.")
        found[key] = tensor
    return found
