"""Discriminators: RGB in [0, 1] -> one logit per image, (B, 1), per pixel (U-Net) or per LR pixel (detail).

Gram-GAN's discriminator also returns two feature maps. The detail discriminator also takes LR.
"""

from __future__ import annotations

from torch import nn

from gramgan_cli.core.archs.discriminators.detail import DetailDiscriminator
from gramgan_cli.core.archs.discriminators.esrgan import ESRGANDiscriminator
from gramgan_cli.core.archs.discriminators.gramgan import DiscriminatorVGGStyle
from gramgan_cli.core.archs.discriminators.srgan import SRGANDiscriminator
from gramgan_cli.core.archs.discriminators.ttsr import TTSRDiscriminator
from gramgan_cli.core.archs.discriminators.unet import MULTIPLE, UNetDiscriminator
from gramgan_cli.core.errors import GramganError, nearest

DISCRIMINATORS = ("gramgan", "srgan", "esrgan", "ttsr", "unet", "detail")
"""Names for recipes."""

TAKE_LR = ("detail",)
"""Those that take LR beside the image."""


def build_discriminator(name: str, side: int, nf: int = 0, scale: int = 4) -> nn.Module:
    """Build a newly initialised discriminator for ``side`` x ``side`` pixels; raise ``GramganError`` for a bad size.

    ``nf`` is the width of the first convolution, from which the other widths follow; 0 uses the paper's. ``scale`` is
    the generator's, for a discriminator that also takes LR.
    """
    width = {"nf": nf} if nf else {}
    if name == "gramgan":
        return DiscriminatorVGGStyle(**width)
    if name == "srgan":
        return SRGANDiscriminator(**width)
    if name == "esrgan":
        return ESRGANDiscriminator(**width)
    if name == "ttsr":
        try:
            return TTSRDiscriminator(size=side, **width)
        except ValueError as error:
            raise GramganError(f"{error}.", "Set `data.hr_crop`.") from error
    if name == "unet":
        if side % MULTIPLE:
            raise GramganError(
                f"The U-Net discriminator needs a side that is a multiple of {MULTIPLE} pixels, not {side}.",
                "Set `data.hr_crop` or discriminator.jitter.",
            )
        return UNetDiscriminator(**width)
    if name == "detail":
        return DetailDiscriminator(scale, **width)
    raise GramganError(f"There is no discriminator '{name}'.", nearest(name, DISCRIMINATORS))
