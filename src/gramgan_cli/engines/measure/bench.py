"""``gramgan bench``: models measured on datasets by the convention of the papers' tables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.data.datasets import Dataset, Sample, read_sample
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.files import replacing
from gramgan_cli.core.metrics import gram_distance, psnr_y, spectrum_distance, ssim_y
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.metrics.texture import PATCH_SIZES
from gramgan_cli.engines.measure.enlargers import Enlarger

Pixels = NDArray[np.uint8]
Values = dict[str, float]
"""Metric -> value, in the order in which they are shown."""

EXTRA_METRICS: dict[str, tuple[str, ...]] = {
    "gram": tuple(f"gram_{size}" for size in PATCH_SIZES),
    "spectrum": ("spectrum",),
}
"""What ``--metric`` takes -> the values that it adds."""


def convention(scale: int) -> dict[str, Any]:
    """How the numbers are made, to be printed beside them."""
    return {
        "y": "BT.601, 16 + (65.481 R + 128.553 G + 24.966 B) / 255, not rounded",
        "border": scale,
        "ssim": "Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, L 255, no padding",
        "sr": "rounded half up and clipped to 8 bit before measuring",
        "lr": "as shipped with the dataset; else MATLAB bicubic of the whole image, border symmetric, 8 bit",
        "grey": "counts as RGB",
        "mean": "of the per-image values",
        "megapixels_per_second": "of the result",
    }


@dataclass(frozen=True)
class ImageScore:
    """One model on one picture."""

    name: str
    values: Values


@dataclass(frozen=True)
class Score:
    """One model on one dataset."""

    dataset: str
    model: str
    values: Values
    """Means over the pictures."""
    seconds: float
    """Spent enlarging, without reading and measuring."""
    megapixels: float
    """Of all results."""
    images: tuple[ImageScore, ...]

    @property
    def megapixels_per_second(self) -> float:
        """Of the result; 0 where the clock saw no time go by."""
        return self.megapixels / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Result:
    """One model's enlargement of one sample, as it is handed to whoever wants the pixels."""

    dataset: str
    sample: Sample
    model: str
    sr: Pixels
    values: Values


def measure(sr: Pixels, hr: Pixels, scale: int, extra: Sequence[str] = ()) -> Values:
    """Every metric of one result; ``extra`` names keys of ``EXTRA_METRICS``."""
    values = {"psnr_y": psnr_y(sr, hr, scale), "ssim_y": ssim_y(sr, hr, scale)}
    if "gram" in extra:
        values |= {f"gram_{size}": gram_distance(sr, hr, scale, size) for size in PATCH_SIZES}
    if "spectrum" in extra:
        values["spectrum"] = spectrum_distance(sr, hr, scale)
    return values


def bench(
    datasets: Sequence[Dataset],
    enlargers: Sequence[Enlarger],
    extra: Sequence[str] = (),
    on_result: Callable[[Result], None] = lambda _result: None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Score], list[str]]:
    """Measure every model on every dataset.

    ``on_result`` sees each result, picture by picture and within a picture model by model. Returns the scores, by
    dataset and then model, and the names of the grey pictures as 'dataset/name'. Raises GramganError for pictures that
    can't be read or are too small.
    """
    scale = enlargers[0].scale
    _check_references(datasets, enlargers)
    for enlarger in enlargers:
        # The first run of a network allocates and picks kernels: that is no part of its speed.
        enlarger.enlarge(np.zeros((16, 16, 3), np.uint8), np.zeros((64, 64, 3), np.uint8))
    total, done = sum(len(dataset.pairs) for dataset in datasets), 0
    scores, grey = [], []
    for dataset in datasets:
        images: dict[str, list[ImageScore]] = {enlarger.name: [] for enlarger in enlargers}
        seconds = dict.fromkeys(images, 0.0)
        megapixels = 0.0
        for sample in _samples(dataset, scale, extra):
            for enlarger in enlargers:
                began = time.perf_counter()
                sr = enlarger.enlarge(sample.lr, sample.reference)
                seconds[enlarger.name] += time.perf_counter() - began
                values = measure(sr, sample.hr, scale, extra)
                images[enlarger.name].append(ImageScore(sample.name, values))
                on_result(Result(dataset.name, sample, enlarger.name, sr, values))
            megapixels += sample.hr.shape[0] * sample.hr.shape[1] / 1e6
            if sample.grey:
                grey.append(f"{dataset.name}/{sample.name}")
            done += 1
            if progress:
                progress(done, total)
        for name, rows in images.items():
            scores.append(Score(dataset.name, name, _mean(rows), seconds[name], megapixels, tuple(rows)))
    return scores, grey


def _check_references(datasets: Sequence[Dataset], enlargers: Sequence[Enlarger]) -> None:
    """Before the work starts: models that need references meet only sets that have them."""
    for enlarger in enlargers:
        for dataset in datasets:
            if enlarger.needs_reference and dataset.pairs[0].reference is None:
                raise GramganError(
                    f"The model '{enlarger.name}' needs references, and {dataset.folder} has none.",
                    "Name the pictures NNN_0 and NNN_1 (as in CUFED5), or *_in and *_ref.",
                )


def _samples(dataset: Dataset, scale: int, extra: Sequence[str]) -> Iterator[Sample]:
    """The dataset's pictures, decoded one after the other; one that is too small to measure is an error."""
    least = max(WINDOW, max(PATCH_SIZES) if extra else 0) + 2 * scale
    for pair in dataset.pairs:
        sample = read_sample(pair, scale)
        if min(sample.hr.shape[:2]) < least:
            raise GramganError(
                f"{pair.hr} has {sample.hr.shape[1]}x{sample.hr.shape[0]} pixels: measuring needs {least} on each side."
            )
        yield sample


def _mean(rows: Sequence[ImageScore]) -> Values:
    return {key: math.fsum(row.values[key] for row in rows) / len(rows) for key in rows[0].values}


def as_document(scale: int, scores: Sequence[Score], grey: Sequence[str]) -> dict[str, Any]:
    """The document of ``--json``. An infinite PSNR (equal images) is null."""
    return {
        "scale": scale,
        "convention": convention(scale),
        "grey_images": list(grey),
        "results": [
            {
                "dataset": score.dataset,
                "model": score.model,
                **finite(score.values),
                "seconds": score.seconds,
                "megapixels_per_second": score.megapixels_per_second,
                "images": [{"name": image.name, **finite(image.values)} for image in score.images],
            }
            for score in scores
        ],
    }


def finite(values: Values) -> dict[str, float | None]:
    """The values as JSON can hold them: infinity becomes None."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def check_names(datasets: Sequence[Dataset]) -> None:
    """Datasets are told apart by name in everything that is printed and written: two of one name are an error."""
    seen: dict[str, Dataset] = {}
    for dataset in datasets:
        other = seen.setdefault(dataset.name, dataset)
        if other is not dataset:
            raise UsageError(
                f"{other.folder} and {dataset.folder} are both called '{dataset.name}'.", "Measure them one by one."
            )


def image_path(folder: Path, dataset: str, model: str, name: str) -> Path:
    """Where ``--save-images`` puts a result."""
    return folder / dataset / model / f"{name}.png"


def check_images(folder: Path, datasets: Sequence[Dataset], enlargers: Sequence[Enlarger], overwrite: bool) -> None:
    """Before the work starts: no result would replace a file, unless ``overwrite``."""
    for dataset in datasets:
        for enlarger in enlargers:
            for pair in dataset.pairs:
                path = image_path(folder, dataset.name, enlarger.name, pair.name)
                if path.exists() and not overwrite:
                    raise UsageError(f"{path} exists already.", "Use --overwrite to replace it.")


def save_image(folder: Path, result: Result) -> None:
    """Write a result to ``folder``/DATASET/MODEL/NAME.png."""
    with replacing(image_path(folder, result.dataset, result.model, result.sample.name)) as temporary:
        Image.fromarray(result.sr).save(temporary, format="PNG")
