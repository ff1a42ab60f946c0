"""DISTS: structure and texture similarity of VGG16 features (Ding, Ma, Wang, Simoncelli, IEEE TPAMI 44(5), 2022)."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d, relu

from gramgan_cli.core.errors import MissingExtra
from gramgan_cli.core.feature_weights import convolutions, published_weights
from gramgan_cli.core.metrics.lpips import VGG16, as_batch

STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Indices of the convolutions in ``vgg16().features``; the maps are pooled between stages."""
WIDTHS = (3, 64, 128, 256, 512, 512)
"""Channels of the image and of each stage."""
STABLE = 1e-6
"""Stabilising constant of both fractions (c1 = c2 of equations 4 and 5)."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Dists(nn.Module):
    """1 minus the weighted similarity of feature means (texture) and covariances (structure); 0 for equal images.

    Args:
        trunk: VGG16 weights under torchvision's names; None loads ImageNet's, from the cache or the network.

    Raises:
        GramganError: VGG16's weights, or torchmetrics, which carries the learned channel weights, are missing.
    """

    smallest = 32
    convention = "VGG16 of ImageNet, whole image at its own size, RGB in [0, 1]; 0 means identical"

    def __init__(self, trunk: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        widths = [width for stage, width in zip(STAGES, WIDTHS[1:], strict=True) for _ in stage]
        indices = [index for stage in STAGES for index in stage]
        self.layers = nn.ModuleDict(
            {
                str(index): nn.Conv2d(before, after, 3, padding=1)
                for index, (before, after) in zip(indices, pairwise([3, *widths]), strict=True)
            }
        )
        weights = published_weights(VGG16, "VGG16") if trunk is None else trunk
        self.layers.load_state_dict(convolutions(weights, self.layers.state_dict(), "VGG16's weights"))
        alpha, beta = _learned_weights()
        self.register_buffer("alpha", alpha)
        self.register_buffer("beta", beta)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distance of images (B, 3, H, W) in [0, 1]: (B,)."""
        total = torch.zeros(len(x), device=x.device)
        assert isinstance(self.alpha, Tensor)
        assert isinstance(self.beta, Tensor)
        alphas, betas = (torch.split(weights, list(WIDTHS)) for weights in (self.alpha, self.beta))
        for alpha, beta, a, b in zip(alphas, betas, self._maps(x), self._maps(y), strict=True):
            a, b = a.float(), b.float()  # in 16 bits, the differences of near-equal statistics would be lost
            mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
            texture = (2 * mean_a * mean_b + STABLE) / (mean_a**2 + mean_b**2 + STABLE)
            centred_a, centred_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
            covariance = (centred_a * centred_b).mean((2, 3))
            power = (centred_a**2).mean((2, 3)) + (centred_b**2).mean((2, 3))
            structure = (2 * covariance + STABLE) / (power + STABLE)
            total += (alpha * texture + beta * structure).sum(1)
        return 1 - total

    def _maps(self, x: Tensor) -> list[Tensor]:
        """Return the image and the last map of each stage."""
        mean, std = (torch.tensor(values, device=x.device).view(1, 3, 1, 1) for values in IMAGENET)
        maps = [x]
        x = (x - mean) / std
        for number, stage in enumerate(STAGES):
            if number:
                x = l2_pooled(x)
            for index in stage:
                x = relu(self.layers[str(index)](x))
            maps.append(x)
        return maps

    def distance(self, sr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
        """Return DISTS of two images (H, W, 3) ``uint8``."""
        device = next(self.parameters()).device
        with torch.inference_mode():
            return float(self(as_batch(sr, device), as_batch(hr, device)))


def l2_pooled(x: Tensor) -> Tensor:
    """L2 pooling (equation 2): root of the mean square under a 3 x 3 Hann window, stride 2."""
    window = torch.tensor([0.25, 0.5, 0.25], device=x.device)
    kernel = torch.outer(window, window).expand(x.shape[1], 1, 3, 3)
    with torch.autocast(x.device.type, enabled=False):
        squares = conv2d(x.float() ** 2, kernel, stride=2, padding=1, groups=x.shape[1])
    return torch.sqrt(squares + 1e-12)


def _learned_weights() -> tuple[Tensor, Tensor]:
    """Return the authors' channel weights alpha and beta, (1475,) each, normalised to a total of 1.

    torchmetrics distributes them.
    """
    found = importlib.util.find_spec("torchmetrics")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("DISTS needs the package torchmetrics.", "metrics")
    folder = Path(found.submodule_search_locations[0]) / "functional" / "image" / "dists_models"
    try:
        stored = torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
    except OSError as error:
        raise MissingExtra(f"This torchmetrics has no weights for DISTS ({error}).", "metrics") from error
    alpha, beta = (stored[name].flatten() for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return alpha / total, beta / total
