"""SPAN, a network with parameter-free attention (Wan et al. 2024, arXiv 2311.12770).

All convolutions run at LR size. Parameters are named as in the published checkpoints, so other tools can load them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.archs.descriptor import Descriptor

BLOCKS = 6
"""Number of attention blocks, fixed by the parameter names of published checkpoints."""

GAIN = 2
"""Channel expansion of the wide branch."""

MEAN = (0.4488, 0.4371, 0.4040)
RANGE = 255.0
"""With ``norm``, DIV2K's mean colour is subtracted from the input, and the rest is multiplied by this."""


class MergedConvolution(nn.Module):
    """A 3x3 convolution trained as two branches (section 3.3): a wide 1x1-3x3-1x1 stack and a 1x1 shortcut.

    All branches are linear, so they merge into one 3x3 kernel. In training it is computed from the branches, which
    receive the gradients. For inference it is stored in ``eval_conv``.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.sk = nn.Conv2d(width, out, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(width, GAIN * width, 1), nn.Conv2d(GAIN * width, GAIN * out, 3), nn.Conv2d(GAIN * out, out, 1)
        )
        self.eval_conv = nn.Conv2d(width, out, 3, 1, 1).requires_grad_(False)
        self.register_load_state_dict_post_hook(_merge)  # type: ignore[no-untyped-call]
        self.register_state_dict_pre_hook(_merge)  # type: ignore[no-untyped-call]

    def merged(self) -> tuple[Tensor, Tensor]:
        """Return the kernel (out, width, 3, 3) and bias (out,) equivalent to the branches."""
        layers = [layer for layer in self.conv if isinstance(layer, nn.Conv2d)]
        first, second, third = (layer.weight for layer in layers)
        biases: list[Any] = [layer.bias for layer in layers]
        kernel = torch.einsum("om,mnhw,ni->oihw", third[:, :, 0, 0], second, first[:, :, 0, 0])
        bias = third[:, :, 0, 0] @ (torch.einsum("mnhw,n->m", second, biases[0]) + biases[1]) + biases[2]
        assert self.sk.bias is not None
        return kernel + F.pad(self.sk.weight, (1, 1, 1, 1)), bias + self.sk.bias

    @torch.no_grad()
    def merge(self) -> None:
        """Update ``eval_conv`` from the branches."""
        kernel, bias = self.merged()
        self.eval_conv.weight.copy_(kernel)
        assert self.eval_conv.bias is not None
        self.eval_conv.bias.copy_(bias)

    def train(self, mode: bool = True) -> MergedConvolution:
        """Set the mode; merge the branches on the switch to evaluation."""
        if not mode:
            self.merge()
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, out, h, w)."""
        if self.training:
            return F.conv2d(x, *self.merged(), padding=1)
        out: Tensor = self.eval_conv(x)
        return out


def _merge(layer: MergedConvolution, *_others: object) -> None:
    """Merge the branches before storing and after loading a state dict (hook)."""
    layer.merge()


class AttentionBlock(nn.Module):
    """Three convolutions whose output, through a sigmoid, weights the sum of itself and the input (eqs. 1 to 3)."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.c1_r = MergedConvolution(nf, nf)
        self.c2_r = MergedConvolution(nf, nf)
        self.c3_r = MergedConvolution(nf, nf)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, nf, h, w) -> the block's output and the activated output of the first convolution."""
        first = F.silu(self.c1_r(x))
        last = self.c3_r(F.silu(self.c2_r(first)))
        return (last + x) * (torch.sigmoid(last) - 0.5), first


class SPAN(nn.Module):
    """RGB in [0, 1], (B, in_nc, h, w) -> (B, out_nc, scale h, scale w), not clamped.

    Args:
        in_nc, out_nc: channels of input and output.
        nf: feature channels (48 in the paper).
        scale: PixelShuffle factor.
        norm: subtract DIV2K's mean colour and scale to 0..255 first, as the paper's checkpoints do; RGB only.
    """

    def __init__(self, in_nc: int = 3, out_nc: int = 3, nf: int = 48, scale: int = 4, norm: bool = False) -> None:
        super().__init__()
        if norm and in_nc != 3:
            raise ValueError(f"SPAN's norm is for RGB: set norm=false for {in_nc} channels")
        if norm:
            self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        else:
            self.register_buffer("no_norm", torch.zeros(1))
        self.norm, self.scale = norm, scale
        self.conv_1 = MergedConvolution(in_nc, nf)
        for number in range(1, BLOCKS + 1):
            setattr(self, f"block_{number}", AttentionBlock(nf))
        self.conv_cat = nn.Conv2d(4 * nf, nf, 1)
        self.conv_2 = MergedConvolution(nf, nf)
        self.upsampler = nn.Sequential(nn.Conv2d(nf, out_nc * scale**2, 3, 1, 1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """RGB (B, in_nc, h, w) in [0, 1] -> RGB (B, out_nc, scale h, scale w), not clamped."""
        if self.norm:
            assert isinstance(self.mean, Tensor)
            x = (x - self.mean) * RANGE
        shallow = self.conv_1(x)
        features, outputs, inner = shallow, [], shallow
        for number in range(1, BLOCKS + 1):
            features, inner = getattr(self, f"block_{number}")(features)
            outputs.append(features)
        seen = torch.cat((shallow, self.conv_2(features), outputs[0], inner), dim=1)
        out: Tensor = self.upsampler(self.conv_cat(seen))
        return out


def describe_span(in_nc: int = 3, out_nc: int = 3, nf: int = 48, scale: int = 4, norm: bool = False) -> Descriptor:
    """Return the descriptor. First and last convolution, the one after the blocks and three per block add 1 px each."""
    del nf, norm
    return Descriptor(
        arch="span",
        scale=scale,
        in_channels=in_nc,
        out_channels=out_nc,
        multiple_of=1,
        receptive_radius=3 + 3 * BLOCKS,
        dtypes=("fp32", "bf16", "fp16"),
    )
