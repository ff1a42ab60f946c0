"""Networks that are not in our table but that spandrel (extra ``[interop]``) knows from their state dict."""

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
"""What a header calls them."""

FACTS = {"design", "scale", "multiple_of", "dtypes"}
"""What a header stores of such a network in the place of hyperparameters (``identify``)."""


def facts_are_sound(hyperparameters: Mapping[str, Any]) -> bool:
    """Whether a header's facts are of the types that ``identify`` gives them."""
    dtypes = hyperparameters.get("dtypes")
    return (
        hyperparameters.keys() >= FACTS
        and isinstance(hyperparameters["design"], str)
        and all(type(hyperparameters[key]) is int for key in ("scale", "multiple_of"))
        and isinstance(dtypes, list)
        and all(isinstance(name, str) for name in dtypes)
    )


EXTRA = "interop"
"""The extra that brings spandrel."""


def is_installed() -> bool:
    """Whether spandrel is here."""
    return importlib.util.find_spec("spandrel") is not None


def identify(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """What a header stores of the network of ``tensors``: its design, scale, channels and size requirement."""
    try:
        model = _load(tensors, path)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{path} has a layout that is not known here (its first key: '{_first(tensors)}'). "
            "The package spandrel knows many more.",
            EXTRA,
        ) from error
    if model.input_channels != 3 or model.output_channels != 3:
        raise ModelUnsupported(
            f"{path} takes {model.input_channels} channels and gives {model.output_channels}, not RGB."
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
        """One picture at a time, as spandrel asks."""
        return torch.cat([self._descriptor(picture[None]) for picture in x])


def build(tensors: Mapping[str, Tensor], hyperparameters: Mapping[str, Any], path: Path) -> nn.Module:
    """The network of a stored file that spandrel identified, on the CPU, in evaluation mode."""
    try:
        return SpandrelNetwork(_load(tensors, path)).eval()
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{path} is a {hyperparameters['design']}, which needs spandrel.", EXTRA) from error


def trainable(network: nn.Module) -> nn.Module:
    """The network itself of one that ``build`` made: not clamped, its own names, all its values learned."""
    assert isinstance(network, SpandrelNetwork)
    inner: nn.Module = network.network
    return inner.requires_grad_(True)


def describe(hyperparameters: Mapping[str, Any]) -> Descriptor:
    """The descriptor of a network that spandrel identified."""
    return describe_other(**{key: hyperparameters[key] for key in FACTS})


def _load(tensors: Mapping[str, Tensor], path: Path) -> ImageModelDescriptor[nn.Module]:
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    try:
        with warnings.catch_warnings():  # those of networks' own code, which a user can't do anything about
            warnings.simplefilter("ignore")
            model = ModelLoader(device="cpu").load_from_state_dict(dict(tensors))
    except UnsupportedModelError as error:
        raise ModelUnsupported(
            f"{path} has a layout that neither gramgan nor spandrel knows (its first key: '{_first(tensors)}')."
        ) from error
    except Exception as error:
        # Designs are guessed from names, then built from shapes: a file that lies fails in any way, and at length.
        raise ModelDamaged(
            f"{path} resembles a network that spandrel knows, but does not fit it.",
            "The file is damaged, or of a design that spandrel does not know.",
        ) from error
    if not isinstance(model, ImageModelDescriptor):
        raise ModelUnsupported(f"{path} is a {model.architecture.name}, which does not enlarge pictures.")
    if model.purpose == "FaceSR":
        raise ModelUnsupported(f"{path} is a {model.architecture.name} model, which restores single faces, not photos.")
    return model


def _first(tensors: Mapping[str, Tensor]) -> str:
    return next(iter(tensors))[:80]
