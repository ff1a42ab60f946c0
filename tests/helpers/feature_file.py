"""VGG16 with random values under torchvision's names, and a file of it."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from gramgan_cli.core.features import FeatureExtractor


def random_vgg16() -> dict[str, Tensor]:
    """VGG16's convolutions, the same values every time."""
    layers = FeatureExtractor("vgg16", ("conv5_3",), weights="random").layers.state_dict()
    return {f"features.{key}": value.clone() for key, value in layers.items()}


def save_random_vgg16(folder: Path) -> None:
    """Save ``vgg16_hed.safetensors``, the file that recipes and docs name."""
    save_file(random_vgg16(), folder / "vgg16_hed.safetensors")
