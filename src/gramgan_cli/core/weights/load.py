"""Loading a network that is ready to run, from a model's name or a weights file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gramgan_cli.core import archs
from gramgan_cli.core.archs import Descriptor
from gramgan_cli.core.archs.initialise import Uninitialised
from gramgan_cli.core.errors import ForeignWeights, GramganError, ModelDamaged, ModelUnsupported, naming
from gramgan_cli.core.weights import interop, store
from gramgan_cli.core.weights.header import WeightsHeader, load_into, read_weights
from gramgan_cli.core.weights.layouts import own_names
from gramgan_cli.core.weights.mixing.interpolate import check_alike, mixed, mixed_header
from gramgan_cli.core.weights.mixing.mixture import Mixture


@dataclass(frozen=True)
class LoadedModel:
    """A network with its metadata."""

    name: str
    """Name in the store, or the file's stem."""
    network: nn.Module
    """In evaluation mode, fp32, on the CPU; maps RGB or grey in [0, 1], (B, C, H, W), to the same."""
    header: WeightsHeader
    """Header of the weights file."""
    descriptor: Descriptor
    """Scale, size requirements, receptive radius, precisions."""


def load_model(name_or_path: str) -> LoadedModel:
    """Load a model by name from the store, from a weights file, or as a mixture (``FIRST+SECOND@SHARE``).

    A model's name takes precedence over a file of the same name; ``./name`` means the file. A stored model's checksum
    is verified at every load. Raises GramganError for an unknown name (suggesting similar ones) and for a missing,
    foreign or damaged file.
    """
    if mixture := Mixture.parse(name_or_path):
        return _mix(mixture)
    if _means_a_file(name_or_path):
        path = Path(name_or_path)
        if path.suffix.lower() in store.PICKLES and path.is_file():
            raise ForeignWeights(f"{path} is another tool's checkpoint.", path)
        return _build(path.stem, path)
    return _load_stored(name_or_path)


def _mix(mixture: Mixture) -> LoadedModel:
    """Mix the weights of all models into the first one's network, after checking that the networks are equal."""
    models = [_load_stored(name) for name in mixture.shares]
    first = models[0]
    for other in models[1:]:
        check_alike(first.header, other.header, (first.name, other.name))
    header, tensors = mixed_weights(models, list(mixture.shares.values()))
    first.network.load_state_dict(tensors)
    return LoadedModel(str(mixture), first.network, header, first.descriptor)


def mixed_weights(models: Sequence[LoadedModel], shares: Sequence[float]) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Return header and tensors of the weighted sum of the models, which are not changed."""
    headers = {model.name: model.header for model in models}
    return mixed_header(headers, shares), mixed([model.network.state_dict() for model in models], shares)


def weights_file(name_or_path: str) -> Path:
    """Return the path of a model's weights without loading them. Raises GramganError for an unknown name."""
    return Path(name_or_path) if _means_a_file(name_or_path) else store.get(name_or_path).path


def _means_a_file(text: str) -> bool:
    """Return whether ``text`` is a path: has a folder or weights suffix, or exists and is not a model's name."""
    path = Path(text)
    if path.name != text or path.suffix.lower() in store.FILE_SUFFIXES:
        return True
    return path.is_file() and store.find(text) is None


def _load_stored(name: str) -> LoadedModel:
    """Verify and load a stored model. If another process replaces it meanwhile, the new one is loaded."""
    model = store.get(name)
    while True:
        try:
            store.verify(model)
            return _build(name, model.path)
        except (GramganError, OSError, RuntimeError):
            # safetensors raises RuntimeError if the file is deleted while it is being opened.
            newer = store.find(name)
            if newer is None or newer == model:
                raise
            model = newer


def assemble(name: str, header: WeightsHeader, tensors: Mapping[str, Tensor], path: Path) -> LoadedModel:
    """Build the network of a header and its tensors, under our names or BasicSR's (which exported files have).

    Raises GramganError, naming ``path``, for an invalid header and for the first key that does not match. Memory is
    allocated only after the tensors are known to match the network.
    """
    tensors = {key: _fp32(tensor) for key, tensor in own_names(header.arch, tensors).items()}
    check_header(header, path)
    with naming(path):
        described = describe(header)
    if (described.in_channels, described.out_channels) not in ((3, 3), (1, 1)):
        raise ModelUnsupported(
            f"{path} takes {described.in_channels} channels and returns {described.out_channels}, not RGB or grey."
        )
    if header.arch == interop.ARCH:
        network = interop.build(tensors, header.hyperparameters, path)
        return LoadedModel(name, network, header, described)
    with naming(path), torch.device("meta"), Uninitialised():
        skeleton = archs.build(header.arch, header.hyperparameters)
    load_into(skeleton, {key: tensor.to("meta") for key, tensor in tensors.items()}, str(path))
    with Uninitialised():
        network = archs.build(header.arch, header.hyperparameters)
    load_into(network, tensors, str(path))
    return LoadedModel(name, network.eval(), header, described)


def check_header(header: WeightsHeader, path: Path) -> None:
    """Raise ModelDamaged for contradictory values, before anything is built from them."""
    agrees = header.scale == header.hyperparameters.get("scale", header.scale)
    if not agrees or (header.arch == interop.ARCH and not interop.facts_are_sound(header.hyperparameters)):
        raise ModelDamaged(f"{path} has a damaged gramgan header.", "Get the file again.")


def describe(header: WeightsHeader) -> Descriptor:
    """Return the descriptor of a header's network."""
    if header.arch == interop.ARCH:
        return interop.describe(header.hyperparameters)
    return archs.describe(header.arch, header.hyperparameters)


def _build(name: str, path: Path) -> LoadedModel:
    header, tensors = read_weights(path)
    return assemble(name, header, tensors, path)


def _fp32(tensor: Tensor) -> Tensor:
    """Convert half-precision values to fp32; counters and indices are kept."""
    return tensor.float() if tensor.is_floating_point() else tensor
