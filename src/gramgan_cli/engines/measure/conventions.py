"""Conventions of measuring PSNR and SSIM: modern, classic, RGB and grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.data.datasets import Sample
from gramgan_cli.core.data.grey import as_rgb8
from gramgan_cli.core.data.prepared import Channels
from gramgan_cli.core.metrics import (
    psnr_grey,
    psnr_plane,
    psnr_rgb,
    psnr_y,
    ssim_grey,
    ssim_plane,
    ssim_rgb,
    ssim_y,
)
from gramgan_cli.core.metrics.luma import luma
from gramgan_cli.core.resize.baselines import interpolated
from gramgan_cli.core.resize.matlab import Levels, imresize, round_to_8bit
from gramgan_cli.engines.measure.enlargers import Enlarger

Pixels = NDArray[np.uint8]
Values = dict[str, float]
"""Values by metric, in display order."""

_SSIM = "Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, L 255, no padding"
_LR = "as shipped with the dataset; else MATLAB bicubic of the whole image, border symmetric, 8 bit"


class Modern:
    """Convention of papers since EDSR: LR is made in RGB; PSNR and SSIM are computed on Y."""

    name = "modern"
    grey_counts_as = "RGB"
    channels: Channels = 3
    """Channels of pictures when read: 3 is 8-bit RGB, 1 is 16-bit grey."""

    def border(self, scale: int) -> int:
        """Pixels cut from each side before measuring."""
        return scale

    def is_grey(self, sample: Sample) -> bool:
        """Whether the picture counts as grey (see ``grey_counts_as``)."""
        return sample.grey

    def target(self, sample: Sample) -> Levels:
        """HR (H, W, C) that results are measured against."""
        return sample.hr

    def enlarged(self, enlarger: Enlarger, sample: Sample) -> Levels:
        """The enlarger's result (H, W, C), as it is measured."""
        return enlarger.enlarge(sample.lr, sample.reference)

    def accuracy(self, sr: Levels, hr: Levels, scale: int) -> Values:
        """PSNR in dB and SSIM of an ``enlarged`` result against ``target``."""
        border, pair = self.border(scale), (as_rgb8(sr), as_rgb8(hr))
        return {"psnr_y": psnr_y(*pair, border), "ssim_y": ssim_y(*pair, border)}

    def facts(self, scale: int) -> dict[str, str | int]:
        """Description of the convention, to be printed with the numbers."""
        return {
            "name": self.name,
            "y": "BT.601, 16 + (65.481 R + 128.553 G + 24.966 B) / 255, not rounded",
            "border": self.border(scale),
            "ssim": _SSIM,
            "sr": "rounded half up and clipped to 8 bit before measuring",
            "lr": _LR,
            "grey": f"counts as {self.grey_counts_as}",
            "mean": "of the per-image values",
            "megapixels_per_second": "of the result",
        }

    def sentence(self, scale: int) -> str:
        """Description of the convention in one line."""
        return (
            f"modern: Y of BT.601, not rounded; {self.border(scale)} px cut from each border; SSIM Gaussian 11x11, "
            "sigma 1.5; results rounded to 8 bit; mean of per-image values."
        )


class Classic(Modern):
    """Convention of the tables from SRCNN to VDSR: only Y is downscaled and upscaled; grey counts as grey.

    Interpolations get the unquantised LR of Y. Networks need colours: they get the LR of ``Modern``, and the Y of their
    result, rounded to 8 bit, is measured.
    """

    name = "classic"
    grey_counts_as = "grey"

    def is_grey(self, sample: Sample) -> bool:
        """Whether the file has one channel. Grey pictures stored as RGB are measured on Y like all others."""
        return sample.one_channel

    def target(self, sample: Sample) -> Levels:
        """HR's Y rounded to 8 bit, or the grey levels, in three equal channels."""
        return _three(_plane(sample.hr, sample.one_channel))

    def enlarged(self, enlarger: Enlarger, sample: Sample) -> Levels:
        """The result's Y rounded to 8 bit, or the grey levels, in three equal channels."""
        if enlarger.interpolation is None:
            return _three(_plane(super().enlarged(enlarger, sample), sample.one_channel))
        exact: NDArray[np.floating] = _plane(sample.hr, sample.one_channel).astype(np.float64)
        lr = imresize(exact, 1 / enlarger.scale).astype(np.float32)
        return _three(round_to_8bit(interpolated(lr[:, :, None], enlarger.interpolation, enlarger.scale)[:, :, 0]))

    def accuracy(self, sr: Levels, hr: Levels, scale: int) -> Values:
        """PSNR in dB and SSIM of the Y or grey planes."""
        border, pair = self.border(scale), (as_rgb8(sr), as_rgb8(hr))
        return {"psnr_y": psnr_plane(*pair, border), "ssim_y": ssim_plane(*pair, border)}

    def facts(self, scale: int) -> dict[str, str | int]:
        """Description of the convention, to be printed with the numbers."""
        return super().facts(scale) | {
            "y": "BT.601, 16 + (65.481 R + 128.553 G + 24.966 B) / 255, rounded to 8 bit",
            "lr": "for interpolations: MATLAB bicubic of Y alone, border symmetric, not rounded; for networks: " + _LR,
        }

    def sentence(self, scale: int) -> str:
        """Description of the convention in one line."""
        return (
            f"classic: Y of BT.601 alone, reduced without rounding; grey counts as grey; {self.border(scale)} px cut "
            "from each border; SSIM Gaussian 11x11, sigma 1.5; results rounded to 8 bit; mean of per-image values."
        )


class Rgb(Modern):
    """R, G and B in [0, 1], with the border (as in write-up A, the course project on SRGAN)."""

    name = "rgb"

    def border(self, scale: int) -> int:
        """0: no border is cut."""
        del scale
        return 0

    def accuracy(self, sr: Levels, hr: Levels, scale: int) -> Values:
        """PSNR in dB over all samples, and SSIM as the mean over the three channels."""
        border, pair = self.border(scale), (as_rgb8(sr), as_rgb8(hr))
        return {"psnr_rgb": psnr_rgb(*pair, border), "ssim_rgb": ssim_rgb(*pair, border)}

    def facts(self, scale: int) -> dict[str, str | int]:
        """Description of the convention, to be printed with the numbers."""
        facts = super().facts(scale) | {
            "rgb": "R, G and B in [0, 1], all samples",
            "ssim": "mean over R, G and B; " + _SSIM.replace("L 255", "L 1"),
        }
        del facts["y"]
        return facts

    def sentence(self, scale: int) -> str:
        """Description of the convention in one line."""
        del scale
        return (
            "rgb: R, G and B in [0, 1], nothing cut from the border; SSIM Gaussian 11x11, sigma 1.5, mean over the "
            "channels; results rounded to 8 bit; mean of per-image values."
        )


class Grey(Modern):
    """16-bit grey levels, which represent 8-bit ones exactly, for medical and satellite pictures.

    RGB networks get grey as three equal channels; their result is the mean of the channels.
    """

    name = "grey"
    channels: Channels = 1

    def is_grey(self, sample: Sample) -> bool:
        """False, since all pictures are grey in this convention."""
        del sample
        return False

    def accuracy(self, sr: Levels, hr: Levels, scale: int) -> Values:
        """PSNR in dB and SSIM of the grey levels, with the dtype's largest value as the peak."""
        border = self.border(scale)
        return {"psnr_y": psnr_grey(sr, hr, border), "ssim_y": ssim_grey(sr, hr, border)}

    def facts(self, scale: int) -> dict[str, str | int]:
        """Description of the convention, to be printed with the numbers."""
        return super().facts(scale) | {
            "y": "grey levels of 16 bits as they are; for colour images, their brightness (BT.601, full range)",
            "ssim": _SSIM.replace("L 255", "L 65535"),
            "sr": "rounded half up and clipped to 16 bit before measuring",
            "lr": _LR.replace("8 bit", "16 bit"),
            "grey": "is the only channel",
        }

    def sentence(self, scale: int) -> str:
        """Description of the convention in one line."""
        return (
            f"grey: grey levels of 16 bits (8-bit ones times 257); {self.border(scale)} px cut from each border; SSIM "
            "Gaussian 11x11, sigma 1.5; results rounded to 16 bit; mean of per-image values."
        )


CONVENTIONS: dict[str, Modern] = {each.name: each for each in (Modern(), Classic(), Rgb(), Grey())}
"""Conventions by their name on the command line."""


def _plane(image: Levels, grey: bool) -> Pixels:
    """Plane (H, W) of Y in 16..235, rounded to 8 bit, or of grey levels in 0..255."""
    exact = luma(as_rgb8(image))
    return round_to_8bit((exact - 16) * 255 / 219 if grey else exact)


def _three(plane: Pixels) -> Pixels:
    return np.repeat(plane[:, :, None], 3, axis=2)
