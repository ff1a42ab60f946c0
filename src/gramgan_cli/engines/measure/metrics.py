"""What ``bench`` measures beside PSNR and SSIM: texture, and learned and blind quality (extra ``[metrics]``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramgan_cli.core.errors import UsageError, nearest
from gramgan_cli.core.metrics import gram_distance, spectrum_distance
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.metrics.texture import PATCH_SIZES
from gramgan_cli.core.plugins import plugins

Pixels = NDArray[np.uint8]
Values = dict[str, float]

NAMES = ("gram", "spectrum", "lpips", "dists", "niqe")
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


def open_metrics(names: Sequence[str], device: torch.device, lpips_features: Path | None = None) -> list[Metric]:
    """The metrics of those names, each once, in the order of ``NAMES``; plugins' metrics last.

    Args:
        names: of ``NAMES``, or of a plugin's metric: a ``Metric``, or a function of SR, HR (H, W, 3) ``uint8`` and the
            border to cut that gives a number.
        device: where LPIPS and DISTS run.
        lpips_features: weights of VGG16's convolutions that LPIPS looks through, in the place of AlexNet.

    Raises:
        UsageError: an unknown name; features for LPIPS where it is not measured.
        GramganError: a package or weights are missing; the hint says how to get them.
    """
    if lpips_features and "lpips" not in names:
        raise UsageError("Features for LPIPS were given, but LPIPS is not measured.", "Measure lpips, too.")
    makers: dict[str, Callable[[], Metric]] = {
        "gram": _gram,
        "spectrum": _spectrum,
        "lpips": lambda: _lpips(device, lpips_features),
        "dists": lambda: _dists(device),
        "niqe": _niqe,
    }
    others = {name: _of_plugin(name, value) for name, value in plugins("metrics").items() if name not in makers}
    for name in names:
        if name not in makers and name not in others:
            raise UsageError(f"There is no metric '{name}'.", nearest(name, [*makers, *others]))
    found = [makers[name]() for name in NAMES if name in names]
    return found + [metric for name, metric in others.items() if name in names]


def _of_plugin(name: str, value: Metric | Callable[[Pixels, Pixels, int], float]) -> Metric:
    """A plugin's metric; a plain function gives one number, of which more is better."""
    if isinstance(value, Metric):
        return value
    return Metric(name, (Quantity(name, name),), lambda sr, hr, border: {name: value(sr, hr, border)}, "a plugin's")


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


def _lpips(device: torch.device, features: Path | None) -> Metric:
    from gramgan_cli.core.metrics.lpips import Lpips, label_of

    label = label_of(features)
    network = Lpips(features).to(device)
    key = label.lower().replace("-", "_")

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del border  # the whole picture, as its authors' code measures
        return {key: network.distance(sr, hr)}

    return Metric("lpips", (Quantity(key, label, better=-1),), measure, network.convention, Lpips.smallest)


def _dists(device: torch.device) -> Metric:
    from gramgan_cli.core.metrics.dists import Dists

    network = Dists().to(device)

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del border  # the whole picture, as its authors' code measures
        return {"dists": network.distance(sr, hr)}

    return Metric("dists", (Quantity("dists", "DISTS", better=-1),), measure, network.convention, Dists.smallest)


def _niqe() -> Metric:
    from gramgan_cli.core.metrics.niqe import SMALLEST, niqe

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del hr
        return {"niqe": niqe(sr, border)}

    convention = "of the result alone, on Y rounded to 8 bit inside the border, blocks of 96; smaller is more natural"
    return Metric("niqe", (Quantity("niqe", "NIQE", better=-1),), measure, convention, SMALLEST)
