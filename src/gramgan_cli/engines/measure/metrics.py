"""Metrics of ``bench`` besides PSNR and SSIM: texture, learned and no-reference ones (extra ``[metrics]``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramgan_cli.core.errors import UsageError, nearest
from gramgan_cli.core.metrics import gram_distance, spectrum_distance
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.metrics.texture import PATCH_SIZES, SMALLEST
from gramgan_cli.core.plugins import plugins

Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]
Values = dict[str, float]

NAMES = ("gram", "spectrum", "lpips", "dists", "niqe", "fid")
"""Names of the metrics."""


@dataclass(frozen=True)
class Quantity:
    """A measured quantity: a column of a table."""

    key: str
    """Name in JSON and CSV."""
    heading: str
    """Heading in tables, with the unit."""
    decimals: int = 4
    factor: float = 1.0
    """Factor applied to values in tables."""
    better: int = 1
    """1 if larger is better, -1 if smaller is."""

    def text(self, value: float) -> str:
        """Format a value for tables."""
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
"""Quantities of PSNR and SSIM, by key, for all conventions."""


@dataclass(frozen=True)
class Metric:
    """A metric, ready to measure."""

    name: str
    quantities: tuple[Quantity, ...]
    measure: Callable[[Pixels, Pixels, int], Values]
    """Takes SR (H, W, 3), HR (H, W, 3) and the border to cut; returns a value for each quantity."""
    convention: str
    """Description of the convention in one line."""
    smallest: int = WINDOW
    """Smallest side in pixels, without the border."""


@dataclass(frozen=True)
class SetMetric:
    """A metric of a whole set of pictures, ready to measure. It has no value for a single picture."""

    name: str
    quantities: tuple[Quantity]
    features: Callable[[Pixels], Features]
    """Features of a picture (H, W, 3): (D,)."""
    distance: Callable[[Features, Features], float]
    """Value for the features of a set's results and of its HR pictures, (N, D) each."""
    convention: str
    """How the value is computed, in one line."""
    least: int
    """Number of pictures from which on the value does not hang on their number."""
    smallest: int = WINDOW
    """Least side of a picture, in pixels."""

    def convention_for(self, sets: Mapping[str, int]) -> str:
        """The convention, with the sets (name: number of pictures) that are too small for it."""
        few = [f"{name} ({count})" for name, count in sets.items() if count < self.least]
        if not few:
            return self.convention
        return (
            f"{self.convention}. With fewer than {self.least} images the value depends on their number: compare it "
            f"only with other models on the same set. Sets with too few images: {', '.join(few)}"
        )


def open_metrics(
    names: Sequence[str], device: torch.device, lpips_features: Path | None = None
) -> list[Metric | SetMetric]:
    """Open metrics by name, each once, in the order of ``NAMES``; plugins' metrics last.

    Args:
        names: names from ``NAMES``, or of plugins' metrics. A plugin's metric is a ``Metric``, or a function of SR and
            HR, (H, W, 3) ``uint8``, and the border to cut that returns a number.
        device: device of LPIPS, DISTS and FID.
        lpips_features: weights of VGG16's convolutions, for LPIPS on VGG16 instead of AlexNet.

    Raises:
        UsageError: a name is unknown, or ``lpips_features`` is given without lpips.
        GramganError: a package or weights are missing; the hint says how to get them.
    """
    if lpips_features and "lpips" not in names:
        raise UsageError("Features for LPIPS were given, but LPIPS is not measured.", "Also measure lpips.")
    makers: dict[str, Callable[[], Metric | SetMetric]] = {
        "gram": _gram,
        "spectrum": _spectrum,
        "lpips": lambda: _lpips(device, lpips_features),
        "dists": lambda: _dists(device),
        "niqe": _niqe,
        "fid": lambda: _fid(device),
    }
    others = {name: _of_plugin(name, value) for name, value in plugins("metrics").items() if name not in makers}
    for name in names:
        if name not in makers and name not in others:
            raise UsageError(f"There is no metric '{name}'.", nearest(name, [*makers, *others]))
    found = [makers[name]() for name in NAMES if name in names]
    return found + [metric for name, metric in others.items() if name in names]


def _of_plugin(name: str, value: Metric | Callable[[Pixels, Pixels, int], float]) -> Metric:
    """A plugin's metric. A plain function becomes a metric with one quantity, where larger is better."""
    if isinstance(value, Metric):
        return value
    return Metric(name, (Quantity(name, name),), lambda sr, hr, border: {name: value(sr, hr, border)}, "a plugin's")


def _gram() -> Metric:
    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        return {f"gram_{size}": gram_distance(sr, hr, border, size) for size in PATCH_SIZES}

    quantities = tuple(Quantity(f"gram_{size}", f"Gram {size}, 1e-4", 3, 1e4, -1) for size in PATCH_SIZES)
    convention = "L1 distance of mean-removed 3x3 Grams of patches, RGB in [0, 1]; 0 means identical"
    return Metric("gram", quantities, measure, convention, max(PATCH_SIZES))


def _spectrum() -> Metric:
    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        return {"spectrum": spectrum_distance(sr, hr, border)}

    convention = "mean distance of the radial power spectra of Y, 32 rings, Hann window; 0 means identical"
    return Metric("spectrum", (Quantity("spectrum", "spectrum, dB", 3, 1.0, -1),), measure, convention, SMALLEST)


def _lpips(device: torch.device, features: Path | None) -> Metric:
    from gramgan_cli.core.metrics.lpips import Lpips, label_of

    label = label_of(features)
    network = Lpips(features).to(device)
    key = label.lower().replace("-", "_")

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del border  # on the whole picture, as in the authors' code
        return {key: network.distance(sr, hr)}

    return Metric("lpips", (Quantity(key, label, better=-1),), measure, network.convention, Lpips.smallest)


def _dists(device: torch.device) -> Metric:
    from gramgan_cli.core.metrics.dists import Dists

    network = Dists().to(device)

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del border  # on the whole picture, as in the authors' code
        return {"dists": network.distance(sr, hr)}

    return Metric("dists", (Quantity("dists", "DISTS", better=-1),), measure, network.convention, Dists.smallest)


def _niqe() -> Metric:
    from gramgan_cli.core.metrics.niqe import SMALLEST, niqe

    def measure(sr: Pixels, hr: Pixels, border: int) -> Values:
        del hr
        return {"niqe": niqe(sr, border)}

    convention = "of the result alone, on Y rounded to 8 bit inside the border, blocks of 96; smaller is more natural"
    return Metric("niqe", (Quantity("niqe", "NIQE", better=-1),), measure, convention, SMALLEST)


def _fid(device: torch.device) -> SetMetric:
    from gramgan_cli.core.metrics.fid import FEATURES, Inception, frechet_distance

    network = Inception(device)
    quantities = (Quantity("fid", "FID", 2, better=-1),)
    return SetMetric("fid", quantities, network.features, frechet_distance, network.convention, FEATURES + 1)
