"""``gramgan compare``: one photo enlarged in several ways, to be looked at side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.data.datasets import PairOfFiles, read_picture, read_sample
from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.resize.baselines import SCALE, bicubic
from gramgan_cli.engines.measure.bench import Values, measure
from gramgan_cli.engines.measure.enlargers import Enlarger

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Version:
    """One way to see the photo."""

    label: str
    image: Pixels
    """(H, W, 3), the same size for every version."""
    values: Values
    """PSNR and SSIM against HR; empty where HR is not known, and for HR itself."""

    @property
    def caption(self) -> str:
        """The label, with the scores where there are any."""
        if not self.values:
            return self.label
        return f"{self.label}  {self.values['psnr_y']:.2f} dB  {self.values['ssim_y']:.4f}"


@dataclass(frozen=True)
class Comparison:
    """All versions of one photo."""

    name: str
    scale: int
    versions: tuple[Version, ...]
    """HR where it is known, else the input as it is (each pixel a square); then one per enlarger."""


def result_size(photo: Path, is_hr: bool, scale: int) -> tuple[int, int]:
    """(height, width) that the versions of ``photo`` will have, up to the cropping to a multiple of the scale."""
    height, width = read_picture(photo).shape[:2]
    return (height, width) if is_hr else (height * scale, width * scale)


def compare(photo: Path, is_hr: bool, enlargers: Sequence[Enlarger]) -> Comparison:
    """Enlarge a photo in every way. Where it is given as HR, it is first reduced by MATLAB bicubic, and compared with.

    Raises GramganError for an unreadable photo, and for an HR photo that is too small to be measured.
    """
    scale = enlargers[0].scale
    if not is_hr:
        lr = read_picture(photo)
        first = Version("input", np.asarray(lr.repeat(scale, axis=0).repeat(scale, axis=1)), {})
        results = (Version(enlarger.name, enlarger.enlarge(lr, None), {}) for enlarger in enlargers)
        return Comparison(photo.name, scale, (first, *results))
    sample = read_sample(PairOfFiles(photo.stem, photo, None), scale)
    least = WINDOW + 2 * scale
    if min(sample.hr.shape[:2]) < least:
        raise GramganError(f"{photo} is too small to be measured: it needs {least} pixels on each side.")
    versions = [Version("HR", sample.hr, {})]
    for enlarger in enlargers:
        sr = enlarger.enlarge(sample.lr, None)
        versions.append(Version(enlarger.name, sr, measure(sr, sample.hr, scale)))
    return Comparison(photo.name, scale, tuple(versions))


def with_bicubic(enlargers: Sequence[Enlarger]) -> list[Enlarger]:
    """The enlargers of a comparison: first bicubic by the same factor, or by 4 where there is no other."""
    scale = enlargers[0].scale if enlargers else SCALE
    return [Enlarger("bicubic", scale, lambda lr, _: bicubic(lr, scale)), *enlargers]


def difference(comparison: Comparison) -> NDArray[np.float64]:
    """(H, W): how far the versions lie apart at each pixel. From HR where it is known, else from each other."""
    known = comparison.versions[0].label == "HR"
    images = [version.image.astype(np.float64) for version in comparison.versions[0 if known else 1 :]]
    if len(images) == 1:
        images.append(comparison.versions[0].image.astype(np.float64))
    apart = [np.abs(image - images[0]).sum(axis=2) for image in images[1:]]
    return np.asarray(np.mean(apart, axis=0))
