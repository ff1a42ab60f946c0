"""Feature maps of frozen networks for the perceptual loss: VGG convolutions and ResNet blocks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision import models

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.feature_weights import FeatureWeightsMissing, cached_file, published_weights, tensors_of_file

Extractor = Literal["vgg16", "vgg19", "resnet18", "resnet34"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_VGG_BLOCKS = {
    "vgg16": ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    "vgg19": ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}
"""(convolutions, channels) before each max-pool."""

_RESNET_BLOCKS = {"resnet18": 8, "resnet34": 16}

_WEIGHT_URLS = {
    "vgg16": models.VGG16_Weights.IMAGENET1K_V1.url,
    "vgg19": models.VGG19_Weights.IMAGENET1K_V1.url,
    "resnet18": models.ResNet18_Weights.IMAGENET1K_V1.url,
    "resnet34": models.ResNet34_Weights.IMAGENET1K_V1.url,
}

_SEED = 0
"""Seed of random weights, so that all processes of a run use the same network."""


class FeatureExtractor(nn.Module):
    """Frozen feature extractor: RGB (B, 3, H, W) in [0, 1] -> features by tap name. Always in evaluation mode.

    Inputs are normalised with ImageNet's mean and standard deviation. VGG taps are named ``convI_J``: the J-th
    convolution before the I-th max-pool, before its ReLU unless ``activated``. VGG19's conv3_4, conv4_4 and conv5_4 are
    indices 16, 25 and 34 of ``vgg19().features``.
    ResNet taps are ``blockN``: the N-th basic block, counted from 1 across the stages, after its ReLU.

    Args:
        extractor: 'vgg16', 'vgg19', 'resnet18' or 'resnet34'.
        taps: tap names; layers after the last one are dropped.
        activated: for VGGs, tap after the ReLU.
        weights: 'imagenet' (downloaded from torchvision into the cache), 'random' (fixed seed, for trials),
            or a .pth or .safetensors file with torchvision's names, with or without the linear layers.

    Raises:
        GramganError: no such tap, or the file does not match this network.
        FeatureWeightsMissing: the weights are missing and can't be downloaded.
    """

    def __init__(
        self, extractor: Extractor, taps: Sequence[str], activated: bool = False, weights: str = "imagenet"
    ) -> None:
        super().__init__()
        tap_of_layer = {_layer_index(extractor, tap, activated): tap for tap in taps}
        layers = (_vgg_layers if extractor in _VGG_BLOCKS else _resnet_layers)(extractor, weights)
        self.layers = nn.ModuleList(layers[: max(tap_of_layer) + 1])
        self._taps = tap_of_layer
        self.sizes = dict.fromkeys(taps, 1.0)
        """Divisor of each tap."""
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        super().train(False)

    def without_imagenet_norm(self) -> FeatureExtractor:
        """Disable input normalisation and return this extractor."""
        assert isinstance(self.mean, Tensor)
        assert isinstance(self.std, Tensor)
        self.mean.zero_()
        self.std.fill_(1)
        return self

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stay in evaluation mode, so that batch statistics do not change."""
        del mode
        return self

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """RGB (B, 3, H, W) in [0, 1] -> {tap: (B, C, h, w)}."""
        assert isinstance(self.mean, Tensor)
        assert isinstance(self.std, Tensor)
        x = (x - self.mean) / self.std
        features = {}
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self._taps:
                features[self._taps[index]] = x / self.sizes[self._taps[index]]
        return features

    @torch.no_grad()
    def mean_sizes(self, pictures: Iterable[Tensor]) -> dict[str, float]:
        """Return each tap's mean absolute value over images (B, 3, H, W) in [0, 1], after the current divisors."""
        sizes = [{tap: float(seen.abs().mean()) for tap, seen in self(picture).items()} for picture in pictures]
        return {tap: sum(size[tap] for size in sizes) / len(sizes) for tap in self.sizes}


def least_side(extractor: Extractor, taps: Iterable[str]) -> int:
    """Return the smallest side of an image, in px, for which every tap has a value. ResNets take any."""
    if extractor not in _VGG_BLOCKS:
        return 1
    blocks = [int(tap[len("conv")]) for tap in taps]
    return 1 << (max(blocks) - 1)  # a max-pool halves the sides after each block


def _layer_index(extractor: Extractor, tap: str, activated: bool) -> int:
    """Return the index of the layer whose output is ``tap``."""
    if extractor in _VGG_BLOCKS:
        blocks = _VGG_BLOCKS[extractor]
        match = re.fullmatch(r"conv([1-5])_([1-4])", tap)
        if match and int(match[2]) <= blocks[int(match[1]) - 1][0]:
            pooled = sum(2 * convolutions + 1 for convolutions, _ in blocks[: int(match[1]) - 1])
            return pooled + 2 * (int(match[2]) - 1) + int(activated)
        raise GramganError(f"{extractor} has no tap '{tap}'.", f"Its taps are conv1_1 to conv5_{blocks[-1][0]}.")
    match = re.fullmatch(r"block([1-9]\d?)", tap)
    if match and int(match[1]) <= _RESNET_BLOCKS[extractor]:
        return int(match[1])
    raise GramganError(f"{extractor} has no tap '{tap}'.", f"Its taps are block1 to block{_RESNET_BLOCKS[extractor]}.")


def _vgg_layers(extractor: Extractor, weights: str) -> list[nn.Module]:
    """Return the layers of torchvision's ``vgg16().features`` or ``vgg19().features`` (Simonyan & Zisserman 2015).

    ReLUs do not work in place, so that they do not overwrite tapped convolutions.
    """
    layers: list[nn.Module] = []
    width = 3
    for convolutions, channels in _VGG_BLOCKS[extractor]:
        for _ in range(convolutions):
            layers += [nn.Conv2d(width, channels, 3, 1, 1), nn.ReLU()]
            width = channels
        layers.append(nn.MaxPool2d(2, 2))
    network = nn.Sequential(*layers)
    if weights == "random":
        _randomise(network)
    else:
        found = weights_of(extractor, weights)
        inner = {key: value for key, value in found.items() if not key.startswith("classifier.")}
        _fill(nn.ModuleDict({"features": network}), inner, extractor, weights)
    return layers


def _randomise(network: nn.Module) -> None:
    """Initialise with Kaiming-normal weights from a fixed seed and zero biases."""
    generator = torch.Generator().manual_seed(_SEED)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _resnet_layers(extractor: Extractor, weights: str) -> list[nn.Module]:
    """Return the stem followed by all basic blocks, so that layer N is block N."""
    net: Any = (models.resnet18 if extractor == "resnet18" else models.resnet34)(weights=None)
    if weights == "random":
        _randomise(net)
    else:
        _fill(net, weights_of(extractor, weights), extractor, weights)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    return [stem, *net.layer1, *net.layer2, *net.layer3, *net.layer4]


def weights_of(extractor: Extractor, weights: str) -> dict[str, Tensor]:
    """Return the tensors under torchvision's names, downloaded or from a file."""
    return official_weights(extractor) if weights == "imagenet" else tensors_of_file(weights_file(weights))


def weights_file(weights: str) -> Path:
    """Return the path of a weights file: the path itself, or a file of that name in the cache's ``features`` folder.

    Raises:
        FeatureWeightsMissing: neither exists.
    """
    candidates = (Path(weights), cached_file(weights))
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise FeatureWeightsMissing(
            f"There is no file of feature weights {candidates[0]} or {candidates[1]}.",
            "Use a .pth or .safetensors file of the network with torchvision's tensor names "
            "(`settings` features.weights=FILE), or torchvision's own weights (`settings` features.weights=imagenet).",
        )
    return found


def weights_record(weights: str) -> str:
    """Return the description of the weights for training records: name, and SHA-256 of a file."""
    if weights in ("imagenet", "random"):
        return weights
    file = weights_file(weights)
    return f"{file.name} (sha256 {hashlib.sha256(file.read_bytes()).hexdigest()})"


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], extractor: str, weights: str) -> None:
    """Load a network's tensors; raise for the first that is missing, superfluous or of another shape."""
    wanted = network.state_dict()
    # The counters of batch normalisation are not used here, and torchvision's older files lack them.
    counters = {key: value for key, value in wanted.items() if key.endswith(".num_batches_tracked")}
    tensors = {**counters, **tensors}
    wrong = next((key for key in (*wanted, *tensors) if key not in tensors or key not in wanted), None)
    if wrong is not None:
        problem = "is missing from" if wrong in wanted else "is not expected in"
        raise GramganError(
            f"{extractor}'s tensor '{wrong}' {problem} {weights}.", "Use a file with torchvision's tensor names."
        )
    for key, value in wanted.items():
        if value.shape != tensors[key].shape:
            found = tuple(tensors[key].shape)
            raise GramganError(f"'{key}' in {weights} has shape {found}, but {extractor} needs {tuple(value.shape)}.")
    network.load_state_dict(dict(tensors))


def official_weights(extractor: Extractor) -> dict[str, Tensor]:
    """Return torchvision's weights, downloaded into the cache if needed and verified by checksum."""
    return published_weights(_WEIGHT_URLS[extractor], extractor)
