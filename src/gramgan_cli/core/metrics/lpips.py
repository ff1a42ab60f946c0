"""LPIPS (Zhang, Isola, Efros, Shechtman and Wang, CVPR 2018), from its authors' package, with a choice of trunk."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision import models

from gramgan_cli.core.archs.initialise import Uninitialised
from gramgan_cli.core.errors import MissingExtra
from gramgan_cli.core.feature_weights import convolutions, published_weights, tensors_of_file

ALEXNET = models.AlexNet_Weights.IMAGENET1K_V1.url
VGG16 = models.VGG16_Weights.IMAGENET1K_V1.url


class Lpips(nn.Module):
    """Learned perceptual distance of two images; 0 for equal ones.

    The authors' linear layers (v0.1) are applied to ImageNet AlexNet features, or to those of a VGG16 if a file is
    given. Only AlexNet and VGG16 with ImageNet weights are the published LPIPS.

    Args:
        features: VGG16 convolutions under torchvision's names; None loads AlexNet, from the cache or the network.

    Raises:
        GramganError: the package ``lpips`` or the weights are missing.
    """

    smallest = 32
    """Smallest side in pixels for which AlexNet's last feature map is not empty."""

    def __init__(self, features: Path | None = None) -> None:
        super().__init__()
        kind = "alex" if features is None else "vgg"
        self.network = authors_network(kind)
        if features is None:
            weights, source = published_weights(ALEXNET, "AlexNet"), "AlexNet's weights"
        else:
            weights, source = tensors_of_file(features), str(features)
        trunk: nn.Module = self.network.net
        wanted = {key.split(".", 1)[1]: value for key, value in trunk.state_dict().items()}
        found = convolutions(weights, wanted, source)
        trunk.load_state_dict({key: found[key.split(".", 1)[1]] for key in trunk.state_dict()})
        seen = "AlexNet" if features is None else f"VGG16 of {features.name}"
        self.convention = f"linear layers v0.1 over {seen}, whole image, RGB in [-1, 1]; 0 means identical"
        self.requires_grad_(False).eval()

    def distance(self, sr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
        """Return LPIPS of two images (H, W, 3) ``uint8``."""
        device = next(self.parameters()).device
        x, y = (as_batch(image, device) for image in (sr, hr))
        with torch.inference_mode():
            return float(self.network(x, y, normalize=True))


def authors_network(kind: str) -> Any:
    """Return the package's network with its linear layers and an uninitialised trunk."""
    try:
        import lpips
    except ImportError as error:
        raise MissingExtra("LPIPS needs the package lpips.", "metrics") from error
    with warnings.catch_warnings(), Uninitialised():
        warnings.simplefilter("ignore", UserWarning)  # the package uses a deprecated torchvision argument
        return lpips.LPIPS(net=kind, version="0.1", pnet_rand=True, verbose=False)


def label_of(features: Path | None) -> str:
    """Return the label: LPIPS, LPIPS-VGG for ImageNet's VGG16, else after the file (vgg16_hed: LPIPS-HED)."""
    if features is None:
        return "LPIPS"
    if features.name == Path(VGG16).name:
        return "LPIPS-VGG"
    return f"LPIPS-{features.stem.lower().removeprefix('vgg16').strip('-_') or 'vgg16'}".upper()


def as_batch(image: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Convert (H, W, 3) ``uint8`` to (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None].float() / 255
