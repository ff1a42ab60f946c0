"""What ``bench`` measures beside PSNR and SSIM: texture, and naturalness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramgan_cli.core.metrics import gram_distance, spectrum_distance
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.metrics.texture import PATCH_SIZES

Pixels = NDArray[np.uint8]
Values = dict[str, float]

NAMES = ("gram", "spectrum", "niqe")
"""What can be measured beside PSNR and SSIM."""


@dataclass(frozen=True)
class Quantity:
    """One number of a table."""

    key: str
    """Its name in JSON and CSV."""
    heading: str
    """Its name in tables, with the unit."""
    decimals: int = 4
    factor: float = 1.0
    """What brings it to a readable size."""
    better: int = 1
    """1 where larger is better, -1 where smaller is."""

    def text(self, value: float) -> str:
        """The value as tables show it."""
        return f"{value * self.factor:.{self.decimals}f}"


ACCURACY = {
    quantity.key: quantity
    for quantity in (
        Quantity("psnr_y", "PSNR Y, dB"),
        Quantity("ssim_y", "SSIM Y"),
        Quantity("psnr_rgb", "PSNR RGB, dB"),
        Quantity("ssim_rgb", "SSIM RGB"),
    )
}
"""PSNR and SSIM, in whatever convention."""


@dataclass(frozen=True)
class Metric:
    """One metric, ready to measure."""

    name: str
    quantities: tuple[Quantity, ...]
    measure: Callable[[Pixels, Pixels, int], Values]
    """SR (H, W, 3), HR (H, W, 3) and the border to cut -> the value of each quantity."""
    convention: str
    """How the numbers are made, in one line."""
    smallest: int = WINDOW
    """Least side inside the border, in pixels."""


def open_metrics(names: Sequence[str]) -> list[Metric]:
    """The metrics of those names (of ``NAMES``), each once, in the order of ``NAMES``."""
    makers: dict[str, Callable[[], Metric]] = {"gram": _gram, "spectrum": _spectrum, "niqe": _niqe}
    return [makers[name]() for name in NAMES if name in names]


def _gram() -> Metric:
    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        return {f"gram_{size}": gram_distance(sr, hr, border, size) for size in PATCH_SIZES}

    quantities = tuple(Quantity(f"gram_{size}", f"Gram {size}, 1e-4", 3, 1e4, -1) for size in PATCH_SIZES)
    convention = "L1 distance of mean-removed 3x3 Grams of patches, RGB in [0, 1]; 0 is equal"
    return Metric("gram", quantities, measure, convention, max(PATCH_SIZES))


def _spectrum() -> Metric:
    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        return {"spectrum": spectrum_distance(sr, hr, border)}

    convention = "mean distance of the radial power spectra of Y, 32 rings, Hann window; 0 is equal"
    return Metric("spectrum", (Quantity("spectrum", "spectrum, dB", 3, 1.0, -1),), measure, convention, WINDOW)


def _niqe() -> Metric:
    from gramgan_cli.core.metrics.niqe import SMALLEST, niqe

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del hr
        return {"niqe": niqe(sr, border)}

    convention = "of the result alone, on Y rounded to 8 bit inside the border, blocks of 96; smaller is more natural"
    return Metric("niqe", (Quantity("niqe", "NIQE", better=-1),), measure, convention, SMALLEST)
