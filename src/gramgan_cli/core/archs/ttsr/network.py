"""TTSR (Yang et al., "Learning Texture Transformer Network for Image Super-Resolution", CVPR 2020), x4.

Names follow the paper. Q, K and V are features of the upsampled LR, of the blurred reference and of the reference. S
and H are the soft and the hard attention, and T the transferred textures. x1, x2, x3 are at 1, 2 and 4 times LR size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramgan_cli.core.archs.descriptor import Descriptor
from gramgan_cli.core.archs.ttsr.extractor import Levels, TextureExtractor
from gramgan_cli.core.archs.ttsr.search import Match, check_reference_size, search, transfer
from gramgan_cli.core.resize.torch_matlab import imresize

SCALE = 4


class Texture(NamedTuple):
    """Textures that were transferred from the reference to an LR image."""

    match: Match
    """Search result H (B, h, w) and S (B, 1, h, w), on the reference's grid at level 3."""
    levels: Levels
    """T: (B, 64, 4h, 4w), (B, 128, 2h, 2w) and (B, 256, h, w)."""


class Reference(NamedTuple):
    """Features of a reference image."""

    key: Tensor
    """K: (B, 256, hk, wk), level 3 of the blurred reference."""
    value: Levels
    """V: all levels of the reference."""


def conv3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution with padding 1."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, 1)


def conv1(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 1x1 convolution."""
    return nn.Conv2d(in_channels, out_channels, 1)


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Upsample bicubically, (B, C, h, w) -> (B, C, factor h, factor w)."""
    return F.interpolate(x, scale_factor=factor, mode="bicubic", align_corners=False)


def raised(conv: nn.Conv2d, x: Tensor, factor: int) -> Tensor:
    """Return ``ReLU(c1(up(x)))``, (B, C, h, w) -> (B, C', factor h, factor w).

    A 1x1 convolution commutes with interpolation whose weights sum to 1, so the convolution runs at the small size.
    """
    return F.relu_(enlarge(conv(x), factor))


def conv_of_cat(conv: nn.Conv2d, parts: Iterable[Tensor]) -> Tensor:
    """Return ``conv(cat(parts, 1))`` as a sum over the parts, which saves the concatenation's memory at HR size.

    If ``parts`` is a generator, each part is freed before the next one is computed.
    """
    start = 0
    total: Tensor | None = None
    for part in parts:
        weight = conv.weight[:, start : start + part.shape[1]]
        start += part.shape[1]
        if total is None:
            total = F.conv2d(part, weight, conv.bias, conv.stride, conv.padding)
        else:
            total += F.conv2d(part, weight, None, conv.stride, conv.padding)
    assert total is not None
    assert start == conv.in_channels
    return total


class ResidualBlock(nn.Module):
    """x + (conv 3x3, ReLU, conv 3x3)."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.conv1 = conv3(nf, nf)
        self.conv2 = conv3(nf, nf)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, h, w)."""
        out: Tensor = self.conv2(F.relu_(self.conv1(x)))
        return out.add_(x)  # in place, which saves one HR-sized map


class Trunk(nn.Module):
    """Residual blocks and a final 3x3 convolution, whose output is added to ``base``."""

    def __init__(self, nf: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(nf) for _ in range(blocks)))
        self.tail = conv3(nf, nf)

    def forward(self, x: Tensor, base: Tensor) -> Tensor:
        """Two (B, nf, h, w) -> (B, nf, h, w)."""
        out: Tensor = self.tail(self.blocks(x))
        return out.add_(base)


class Injection(nn.Module):
    """x + conv3x3(cat(x, T)) * S: transferred texture, weighted by the confidence of its match."""

    def __init__(self, nf: int, texture_channels: int) -> None:
        super().__init__()
        self.conv = conv3(nf + texture_channels, nf)

    def forward(self, x: Tensor, texture: Tensor, confidence: Tensor) -> Tensor:
        """x (B, nf, h, w), T (B, C, h, w), S (B, 1, h, w) -> (B, nf, h, w)."""
        return torch.addcmul(x, conv_of_cat(self.conv, (x, texture)), confidence)


class Doubling(nn.Module):
    """Upsample by 2, (B, nf, h, w) -> (B, nf, 2h, 2w): conv 3x3 to 4 nf, PixelShuffle 2, ReLU."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.conv = conv3(nf, 4 * nf)

    def forward(self, x: Tensor) -> Tensor:
        """(B, nf, h, w) -> (B, nf, 2h, 2w)."""
        return F.relu_(F.pixel_shuffle(self.conv(x), 2))


class CSFI2(nn.Module):
    """Cross-scale feature integration of two levels, which keeps the channels."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.up12 = conv1(nf, nf)
        self.down21 = conv3(nf, nf, 2)
        self.merge1 = conv3(2 * nf, nf)
        self.merge2 = conv3(2 * nf, nf)

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """(B, nf, h, w) and (B, nf, 2h, 2w) -> the same shapes."""
        x12 = raised(self.up12, x1, 2)
        x21 = F.relu_(self.down21(x2))
        return F.relu_(conv_of_cat(self.merge1, (x1, x21))), F.relu_(conv_of_cat(self.merge2, (x2, x12)))


class CSFI3(nn.Module):
    """Cross-scale feature integration of three levels, which keeps the channels."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.up12 = conv1(nf, nf)
        self.up13 = conv1(nf, nf)
        self.up23 = conv1(nf, nf)
        self.down21 = conv3(nf, nf, 2)
        self.down32 = conv3(nf, nf, 2)
        self.down31 = nn.Sequential(conv3(nf, nf, 2), nn.ReLU(), conv3(nf, nf, 2))
        self.merge1 = conv3(3 * nf, nf)
        self.merge2 = conv3(3 * nf, nf)
        self.merge3 = conv3(3 * nf, nf)

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, nf, h, w), (B, nf, 2h, 2w), (B, nf, 4h, 4w) -> the same shapes."""
        return self._to1(x1, x2, x3), self._to2(x1, x2, x3), self._to3(x1, x2, x3)

    def _to1(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        down = (F.relu_(lower(x)) for lower, x in ((self.down21, x2), (self.down31, x3)))
        return F.relu_(conv_of_cat(self.merge1, chain((x1,), down)))

    def _to2(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        x12, x32 = raised(self.up12, x1, 2), F.relu_(self.down32(x3))
        return F.relu_(conv_of_cat(self.merge2, (x2, x12, x32)))

    def _to3(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        up = (raised(conv, x, factor) for conv, x, factor in ((self.up13, x1, 4), (self.up23, x2, 2)))
        return F.relu_(conv_of_cat(self.merge3, chain((x3,), up)))


class MergeTail(nn.Module):
    """Merge the three levels to RGB in [-1, 1], not clamped."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.up13 = conv1(nf, nf)
        self.up23 = conv1(nf, nf)
        self.merge = conv3(3 * nf, nf)
        self.tail1 = conv3(nf, nf // 2)
        self.tail2 = conv1(nf // 2, 3)

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """(B, nf, h, w), (B, nf, 2h, 2w), (B, nf, 4h, 4w) -> (B, 3, 4h, 4w)."""
        up = (raised(conv, x, factor) for conv, x, factor in ((self.up13, x1, 4), (self.up23, x2, 2)))
        out: Tensor = self.tail2(self.tail1(F.relu_(conv_of_cat(self.merge, chain((x3,), up)))))
        return out


class MainNet(nn.Module):
    """Main network: LR and transferred textures -> SR, all in [-1, 1].

    It runs channels last, which avoids two copies of each HR-sized map in CPU convolutions.
    """

    def __init__(self, nf: int, blocks: Sequence[int]) -> None:
        super().__init__()
        shallow, stage1, stage2, stage3 = blocks
        self.conv_first = conv3(3, nf)
        self.shallow = Trunk(nf, shallow)
        self.inject3 = Injection(nf, 256)
        self.trunk11 = Trunk(nf, stage1)
        self.double12 = Doubling(nf)
        self.inject2 = Injection(nf, 128)
        self.csfi2 = CSFI2(nf)
        self.trunk21 = Trunk(nf, stage2)
        self.trunk22 = Trunk(nf, stage2)
        self.double23 = Doubling(nf)
        self.inject1 = Injection(nf, 64)
        self.csfi3 = CSFI3(nf)
        self.trunk31 = Trunk(nf, stage3)
        self.trunk32 = Trunk(nf, stage3)
        self.trunk33 = Trunk(nf, stage3)
        self.merge_tail = MergeTail(nf)

    def forward(self, lr: Tensor, textures: Iterator[Tensor], confidence: Tensor) -> Tensor:
        """LR (B, 3, h, w) in [-1, 1], T of levels 3, 2, 1, and S (B, 1, h, w) -> (B, 3, 4h, 4w), not clamped.

        Each T is taken from the iterator when it is used and then freed, since an HR-sized one is as large as a layer.
        """
        x1 = F.relu_(self.conv_first(lr.contiguous(memory_format=torch.channels_last)))
        x1 = self.shallow(x1, x1)

        x1 = self.inject3(x1, next(textures), confidence)
        x1 = self.trunk11(x1, x1)

        x2 = self.inject2(self.double12(x1), next(textures), enlarge(confidence, 2))
        mixed1, mixed2 = self.csfi2(x1, x2)
        x1, x2 = self.trunk21(mixed1, x1), self.trunk22(mixed2, x2)

        x3 = self.inject1(self.double23(x2), next(textures), enlarge(confidence, 4))
        mixed1, mixed2, mixed3 = self.csfi3(x1, x2, x3)
        x1, x2, x3 = self.trunk31(mixed1, x1), self.trunk32(mixed2, x2), self.trunk33(mixed3, x3)

        out: Tensor = self.merge_tail(x1, x2, x3)
        return out


class TTSR(nn.Module):
    """LR (B, 3, h, w) and a reference (B, 3, hr, wr), RGB in [0, 1] -> SR (B, 3, 4h, 4w).

    The reference may have any size of at least 12 x 12. It is cropped at the bottom and right to multiples of 4. The
    upsampled LR and the blurred (down- and upsampled) reference are computed here by MATLAB-compatible bicubic.
    Internally, values are in [-1, 1].

    Args:
        nf: feature channels.
        blocks: residual blocks of the shallow extractor, of stage 1, and of each level of stages 2 and 3.
        scale: must be 4.
    """

    def __init__(self, nf: int = 64, blocks: Sequence[int] = (16, 16, 8, 4), scale: int = SCALE) -> None:
        super().__init__()
        if scale != SCALE:
            raise ValueError(f"TTSR's scale must be {SCALE}, not {scale}")
        if len(blocks) != 4:
            raise ValueError(f"TTSR's blocks must be four numbers (shallow, stages 1 to 3), not {list(blocks)}")
        self.extractor = TextureExtractor()
        self.main = MainNet(nf, blocks)

    def read_reference(self, ref: Tensor) -> Reference:
        """Return the features of a reference (B, 3, hr, wr), RGB in [0, 1], reusable for any number of LR images.

        Raises GramganError if it is smaller than 12 x 12.
        """
        check_reference_size(*ref.shape[-2:])
        ref = ref[..., : ref.shape[-2] // 4 * 4, : ref.shape[-1] // 4 * 4]
        blurred = imresize(imresize(ref, 1 / SCALE), SCALE)
        return Reference(self.extractor(blurred).level3, self.extractor(ref))

    def look_up(self, lr: Tensor, reference: Reference) -> Match:
        """Find the best reference patch for each patch of the upsampled LR (B, 3, h, w), RGB in [0, 1]."""
        return search(self.extractor(imresize(lr, SCALE)).level3, reference.key)

    def enlarge(self, lr: Tensor, reference: Reference) -> Tensor:
        """Return SR, RGB (B, 3, 4h, 4w); see ``forward``."""
        match = self.look_up(lr, reference)
        return self._result(lr, (transfer(level, match) for level in reversed(reference.value)), match)

    def _result(self, lr: Tensor, textures: Iterator[Tensor], match: Match) -> Tensor:
        sr: Tensor = (self.main(2 * lr - 1, textures, match.scores) + 1) / 2
        return sr if self.training else sr.clamp(0, 1)

    @overload
    def forward(self, lr: Tensor, ref: Tensor, with_texture: Literal[False] = False) -> Tensor: ...

    @overload
    def forward(self, lr: Tensor, ref: Tensor, with_texture: Literal[True]) -> tuple[Tensor, Texture]: ...

    def forward(self, lr: Tensor, ref: Tensor, with_texture: bool = False) -> Tensor | tuple[Tensor, Texture]:
        """Upscale ``lr`` by 4 with the texture of ``ref``.

        Args:
            lr: RGB (B, 3, h, w) in [0, 1].
            ref: RGB (B, 3, hr, wr) in [0, 1], hr and wr >= 12.
            with_texture: also return S, H and T, for the transferal loss and attention maps.

        Returns:
            SR, RGB (B, 3, 4h, 4w): clamped to [0, 1] in evaluation mode, not in training, where clamping would remove
            gradients. With ``with_texture``, SR and ``Texture``.

        Raises:
            GramganError: the reference is too small.
        """
        reference = self.read_reference(ref)
        if not with_texture:
            return self.enlarge(lr, reference)
        match = self.look_up(lr, reference)
        texture = Texture(match, Levels(*(transfer(level, match) for level in reference.value)))
        return self._result(lr, reversed(texture.levels), match), texture


def describe_ttsr(nf: int = 64, blocks: Sequence[int] = (16, 16, 8, 4), scale: int = SCALE) -> Descriptor:
    """Return the descriptor. Its receptive radius refers to the LR; matches also depend on the whole reference.

    The main network has a radius of 12 px without blocks, plus two for each block along its deepest path. The textures
    at a position depend on 6 px (features 4, the 3x3 patch 1, overlapping neighbour patches 1) and enter after the
    shallow extractor.
    """
    del nf
    shallow, *stages = blocks
    radius = max(12 + 2 * shallow, 6 + 10) + 2 * sum(stages)
    return Descriptor(
        arch="ttsr",
        scale=scale,
        in_channels=3,
        out_channels=3,
        multiple_of=1,
        receptive_radius=radius,
        dtypes=("fp32", "bf16"),
        needs_reference=True,
    )
