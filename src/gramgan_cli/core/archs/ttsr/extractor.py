"""LTE, TTSR's learnable texture extractor: the first convolutions of VGG19 in three slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.errors import GramganError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

CONVOLUTIONS = {"0": (3, 64), "2": (64, 64), "5": (64, 128), "7": (128, 128), "10": (128, 256)}
"""Index in torchvision's ``vgg19().features`` -> (input, output) channels."""


class Levels(NamedTuple):
    """Feature maps of one image at TTSR's three levels."""

    level1: Tensor
    """(B, 64, H, W): after features 0-1."""
    level2: Tensor
    """(B, 128, H/2, W/2): after features 2-6."""
    level3: Tensor
    """(B, 256, H/4, W/4): after features 7-11."""


class TextureExtractor(nn.Module):
    """RGB in [0, 1], (B, 3, H, W) -> maps after relu1_1, relu2_1 and relu3_1 of VGG19. 555 328 parameters.

    The input is normalised by ImageNet's mean and standard deviation. TTSR keeps training these convolutions at a tenth
    of the learning rate, so they are part of its weights. They are random until ``load_vgg19`` is called.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.features = nn.ModuleDict({index: nn.Conv2d(*io, 3, 1, 1) for index, io in CONVOLUTIONS.items()})
        for conv in self.features.values():
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)

    def load_vgg19(self, state: Mapping[str, Tensor]) -> None:
        """Copy the five convolutions from torchvision's VGG19 state dict (``features.N.weight`` and ``.bias``).

        Raises:
            GramganError: a key is missing or has the wrong shape.
        """
        for name, own in self.state_dict().items():
            if name not in state or state[name].shape != own.shape:
                raise GramganError(f"These are not VGG19's weights: '{name}' is missing or has the wrong shape.")
            own.copy_(state[name])

    def forward(self, image: Tensor) -> Levels:
        """RGB (B, 3, H, W) in [0, 1], H and W multiples of 4 -> maps of the three levels."""
        conv = self.features
        normalised = ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        level1 = F.relu_(conv["0"](normalised))
        half = F.max_pool2d(F.relu_(conv["2"](level1)), 2)
        level2 = F.relu_(conv["5"](half))
        quarter = F.max_pool2d(F.relu_(conv["7"](level2)), 2)
        return Levels(level1, level2, F.relu_(conv["10"](quarter)))

    def frozen(self, image: Tensor) -> Levels:
        """Run ``forward`` with detached parameters: gradients flow to ``image`` only."""
        constants = {name: parameter.detach() for name, parameter in self.named_parameters()}
        levels: Levels = torch.func.functional_call(self, constants, (image,))
        return levels
