"""Networks that gramgan does not build itself, but spandrel (extra ``[interop]``) recognises by their state dict."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.archs.spandrel_networks import OTHER, describe_other
from gramgan_cli.core.errors import MissingExtra, ModelDamaged, ModelUnsupported

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

ARCH = OTHER.name
"""Name of these networks in headers."""

FACTS = {"design", "scale", "multiple_of", "dtypes"}
"""Keys that a header stores for such a network instead of hyperparameters (see ``identify``)."""


def facts_are_sound(hyperparameters: Mapping[str, Any]) -> bool:
    """Return whether a header's values have the types that ``identify`` gives them."""
    dtypes = hyperparameters.get("dtypes")
    return (
        hyperparameters.keys() >= FACTS
        and isinstance(hyperparameters["design"], str)
        and all(type(hyperparameters[key]) is int for key in ("scale", "multiple_of"))
        and isinstance(dtypes, list)
        and all(isinstance(name, str) for name in dtypes)
    )


EXTRA = "interop"
"""The extra that installs spandrel."""


def is_installed() -> bool:
    """Return whether spandrel is installed."""
    return importlib.util.find_spec("spandrel") is not None


def identify(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Recognise the network of ``tensors``; return its design, scale, size multiple and precisions for the header."""
    try:
        model = _load(tensors, path)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{path} has an unknown layout (its first key: '{_first(tensors)}'). "
            "The package spandrel supports many more.",
            EXTRA,
        ) from error
    if model.input_channels != 3 or model.output_channels != 3:
        raise ModelUnsupported(
            f"{path} takes {model.input_channels} channels and returns {model.output_channels}, not RGB."
        )
    return {
        "design": model.architecture.id,
        "scale": model.scale,
        "multiple_of": model.size_requirements.multiple_of,
        "dtypes": ["fp32", *(["bf16"] if model.supports_bfloat16 else []), *(["fp16"] if model.supports_half else [])],
    }


class SpandrelNetwork(nn.Module):
    """RGB in [0, 1], (B, 3, h, w) -> (B, 3, scale h, scale w), clamped to [0, 1] by spandrel."""

    def __init__(self, model: ImageModelDescriptor[nn.Module]) -> None:
        super().__init__()
        self.network = model.model
        self._descriptor = model

    def forward(self, x: Tensor) -> Tensor:
        """Run one image at a time, as spandrel requires."""
        return torch.cat([self._descriptor(picture[None]) for picture in x])


def build(tensors: Mapping[str, Tensor], hyperparameters: Mapping[str, Any], path: Path) -> nn.Module:
    """Build the network of a stored file that spandrel recognised, on the CPU, in evaluation mode."""
    try:
        return SpandrelNetwork(_load(tensors, path)).eval()
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{path} is a {hyperparameters['design']}, which needs spandrel.", EXTRA) from error


def trainable(network: nn.Module) -> nn.Module:
    """Return the inner network of one that ``build`` made: not clamped, with its own names, and trainable."""
    assert isinstance(network, SpandrelNetwork)
    inner: nn.Module = network.network
    return inner.requires_grad_(True)


def describe(hyperparameters: Mapping[str, Any]) -> Descriptor:
    """Return the descriptor of a network that spandrel recognised."""
    return describe_other(**{key: hyperparameters[key] for key in FACTS})


def _load(tensors: Mapping[str, Tensor], path: Path) -> ImageModelDescriptor[nn.Module]:
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    try:
        with warnings.catch_warnings():  # those of the networks' own code, which are of no use to users
            warnings.simplefilter("ignore")
            model = ModelLoader(device="cpu").load_from_state_dict(dict(tensors))
    except UnsupportedModelError as error:
        raise ModelUnsupported(
            f"{path} has a layout that neither gramgan nor spandrel supports (its first key: '{_first(tensors)}')."
        ) from error
    except Exception as error:
        # Spandrel guesses designs from names and builds them from shapes: bad files may raise anything, at length.
        raise ModelDamaged(
            f"{path} resembles a network that spandrel supports, but does not match it.",
            "The file is damaged, or spandrel does not support its network.",
        ) from error
    if not isinstance(model, ImageModelDescriptor):
        raise ModelUnsupported(f"{path} is a {model.architecture.name}, which does not enlarge images.")
    if model.purpose == "FaceSR":
        raise ModelUnsupported(f"{path} is a {model.architecture.name} model, which restores single faces, not photos.")
    return model


def _first(tensors: Mapping[str, Tensor]) -> str:
    return next(iter(tensors))[:80]
