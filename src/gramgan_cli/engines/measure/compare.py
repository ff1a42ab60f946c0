"""``gramgan compare``: one photo upscaled by several models, for comparison side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.data.datasets import picture_size, read_picture
from gramgan_cli.core.data.grey import as_rgb8
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.files import check_target
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.resize.baselines import SCALE
from gramgan_cli.core.resize.matlab import crop_to_multiple, make_lr
from gramgan_cli.engines.measure.conventions import CONVENTIONS, Values
from gramgan_cli.engines.measure.enlargers import Enlarger, interpolation

Pixels = NDArray[np.uint8]

KINDS = (".png", ".jpg", ".jpeg", ".webp", ".html")
"""File name endings of a comparison."""


@dataclass(frozen=True)
class Version:
    """One version of the photo."""

    label: str
    image: Pixels
    """(H, W, 3), of the same size for all versions."""
    values: Values
    """PSNR and SSIM against HR; empty without HR, and for HR itself."""

    @property
    def caption(self) -> str:
        """The label, followed by the scores if there are any."""
        if not self.values:
            return self.label
        return f"{self.label}  {self.values['psnr_y']:.2f} dB  {self.values['ssim_y']:.4f}"


@dataclass(frozen=True)
class Comparison:
    """All versions of one photo."""

    name: str
    scale: int
    versions: tuple[Version, ...]
    """HR if given, else the input by nearest neighbour; then one version per enlarger."""
    output: Path | None = None
    """File of the comparison, once written."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """How the photo is prepared."""

    is_hr: bool = False
    """The photo is HR: it is downscaled first, and versions are measured against it."""
    halve: bool = False
    """Halve the photo's sides first (Lanczos)."""


def check_comparison(target: Path, photo: Path, overwrite: bool) -> None:
    """Check that a comparison can be written to ``target``, before any work.

    Raises:
        UsageError: ``target`` has another ending than ``KINDS``, or is the photo itself.
        TargetExists: ``target`` exists and ``overwrite`` is not set.
    """
    if target.suffix.lower() not in KINDS:
        raise UsageError(
            f"A comparison is a {', '.join(KINDS)} file, not '{target.name}'.", "Choose another file name."
        )
    check_target(target, overwrite)
    if target.exists() and photo.exists() and target.samefile(photo):
        raise UsageError(f"The comparison would replace the photo {photo} itself.", "Choose another file name.")


def result_size(photo: Path, options: CompareOptions, scale: int) -> tuple[int, int]:
    """(height, width) of the versions of ``photo``, before cropping to a multiple of the scale."""
    height, width = picture_size(photo)
    if options.halve:
        height, width = height // 2, width // 2
    return (height, width) if options.is_hr else (height * scale, width * scale)


def compare(photo: Path, enlargers: Sequence[Enlarger], options: CompareOptions) -> Comparison:
    """Upscale a photo with all enlargers. An HR photo is first downscaled by MATLAB's bicubic, then compared with.

    Raises GramganError if the photo is unreadable, or too small to be measured as HR.
    """
    scale = enlargers[0].scale
    image = _halved(read_picture(photo), photo) if options.halve else read_picture(photo)
    if not options.is_hr:
        first = Version("input", np.asarray(image.repeat(scale, axis=0).repeat(scale, axis=1)), {})
        results = (Version(enlarger.name, as_rgb8(enlarger.enlarge(image, None)), {}) for enlarger in enlargers)
        return Comparison(photo.name, scale, (first, *results))
    hr = crop_to_multiple(image, scale)
    least = WINDOW + 2 * scale
    if min(hr.shape[:2]) < least:
        raise GramganError(f"{photo} is too small to measure: it needs {least} pixels on each side.")
    lr = make_lr(hr, scale)
    versions = [Version("HR", hr, {})]
    for enlarger in enlargers:
        sr = as_rgb8(enlarger.enlarge(lr, None))
        versions.append(Version(enlarger.name, sr, CONVENTIONS["modern"].accuracy(sr, hr, scale)))
    return Comparison(photo.name, scale, tuple(versions))


def _halved(image: Pixels, photo: Path) -> Pixels:
    """Halve both sides, rounded down, by Pillow's Lanczos."""
    height, width = (side // 2 for side in image.shape[:2])
    if not height or not width:
        raise GramganError(f"{photo} is too small to be halved.")
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def with_bicubic(enlargers: Sequence[Enlarger]) -> list[Enlarger]:
    """Put bicubic of the same scale (4 if there are no others) before the enlargers.

    Raises:
        UsageError: an enlarger needs a reference picture.
    """
    for enlarger in enlargers:
        if enlarger.needs_reference:
            raise UsageError(
                f"The model '{enlarger.name}' needs a reference image, which a comparison does not have.",
                "Use gramgan bench with a folder of *_in and *_ref images.",
            )
    scale = enlargers[0].scale if enlargers else SCALE
    return [interpolation("bicubic", scale), *enlargers]


def difference(comparison: Comparison) -> NDArray[np.float64]:
    """Mean absolute difference (H, W) of the versions from HR, or without HR from the first result."""
    known = comparison.versions[0].label == "HR"
    images = [version.image.astype(np.float64) for version in comparison.versions[0 if known else 1 :]]
    if len(images) == 1:
        images.append(comparison.versions[0].image.astype(np.float64))
    apart = [np.abs(image - images[0]).sum(axis=2) for image in images[1:]]
    return np.asarray(np.mean(apart, axis=0))
