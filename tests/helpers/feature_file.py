"""A file of feature weights under torchvision's names, with random values."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from gramgan_cli.core.features import FeatureExtractor


def save_random_vgg16(folder: Path) -> None:
    """Save ``vgg16_hed.safetensors``, the file that recipes and docs name."""
    layers = FeatureExtractor("vgg16", ("conv5_3",), weights="random").layers.state_dict()
    save_file({f"features.{key}": value.clone() for key, value in layers.items()}, folder / "vgg16_hed.safetensors")
