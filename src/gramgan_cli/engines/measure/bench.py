"""``gramgan bench``: measuring models on datasets, by a convention used in papers."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.data.datasets import Dataset, PairOfFiles, Sample, picture_size, read_sample
from gramgan_cli.core.data.grey import as_rgb8
from gramgan_cli.core.errors import GramganError, first_of
from gramgan_cli.core.io.files import check_target, replacing
from gramgan_cli.core.metrics.ssim import WINDOW
from gramgan_cli.core.resize.matlab import Levels
from gramgan_cli.engines.measure.conventions import CONVENTIONS, Classic, Modern, Values
from gramgan_cli.engines.measure.enlargers import Enlarger, distinct_labels, interpolation
from gramgan_cli.engines.measure.metrics import ACCURACY, Features, Metric, Quantity, SetMetric

Pixels = NDArray[np.uint8]


SHOWN = 3
"""Most reasons that the error gives if no picture could be measured."""


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Options of ``bench``."""

    convention: Modern = CONVENTIONS["modern"]
    metrics: Sequence[Metric | SetMetric] = ()
    """Metrics besides PSNR and SSIM."""


@dataclass(frozen=True)
class ImageScore:
    """Values of one model on one picture."""

    name: str
    values: Values


@dataclass(frozen=True)
class Score:
    """Values of one model on one dataset."""

    dataset: str
    enlarger: Enlarger
    values: Values
    """Means over the pictures; of metrics of sets the value of the whole dataset."""
    seconds: float
    """Time spent on upscaling, without reading and measuring."""
    megapixels: float
    """Total size of the results."""
    images: tuple[ImageScore, ...]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.enlarger.name

    @property
    def megapixels_per_second(self) -> float:
        """Result megapixels per second; 0 if the measured time is 0."""
        return self.megapixels / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Failure:
    """A picture that could not be measured."""

    dataset: str
    name: str
    reason: str
    """Error message that names the file."""


@dataclass(frozen=True)
class Enlarged:
    """One model's result for one picture, with its pixels."""

    dataset: str
    sample: Sample
    target: Levels
    """HR that the result was measured against."""
    plain: Levels
    """Bicubic result, for comparison."""
    model: str
    sr: Levels
    values: Values
    interpolation: str | None = None
    """Name of the interpolation; None for a model, whose file may bear the same name."""


@dataclass(frozen=True)
class Measured:
    """Results of a ``bench`` run."""

    scale: int
    options: BenchOptions
    scores: tuple[Score, ...]
    """Scores, ordered by dataset, then model."""
    failures: tuple[Failure, ...]
    grey: tuple[str, ...]
    """Grey pictures, as 'dataset/name'."""

    @property
    def quantities(self) -> list[Quantity]:
        """The measured quantities, in the order of the tables."""
        accuracy = [ACCURACY[key] for key in self.scores[0].values if key in ACCURACY]
        return accuracy + [quantity for metric in self.options.metrics for quantity in metric.quantities]

    @property
    def facts(self) -> dict[str, str | int]:
        """Description of the convention and the metrics, by name."""
        facts = self.options.convention.facts(self.scale)
        sets = {score.dataset: len(score.images) for score in self.scores}
        for metric in self.options.metrics:
            facts[metric.name] = metric.convention_for(sets) if isinstance(metric, SetMetric) else metric.convention
        return facts


@dataclass
class _Tally:
    """Measurements of one dataset so far."""

    images: dict[str, list[ImageScore]]
    seconds: dict[str, float]
    megapixels: float = 0.0
    grey: list[str] = field(default_factory=list)
    features: defaultdict[str, list[list[Features]]] = field(default_factory=lambda: defaultdict(list))
    """For each metric of sets, and each picture: features of HR, then of each model's result."""


def bench(
    datasets: Sequence[Dataset],
    enlargers: Sequence[Enlarger],
    options: BenchOptions | None = None,
    *,
    on_result: Callable[[Enlarged], None] = lambda _result: None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Measured:
    """Measure every model on every dataset.

    A picture that can't be measured (unreadable, too small, or with an LR of the wrong size) becomes a ``Failure`` for
    all models; the others are still measured. Sizes are checked before any picture is upscaled.

    Args:
        datasets: datasets with distinct names (``with_distinct_names``).
        enlargers: enlargers with the same scale.
        options: convention and further metrics; None means PSNR and SSIM by the modern convention.
        on_result: called with each result, by picture, then by model.
        on_progress: called with the number of pictures done and the total.

    Raises:
        GramganError: no picture could be measured, or a model needs references that a dataset lacks.
    """
    options = options or BenchOptions()
    scale = enlargers[0].scale
    _check_references(datasets, enlargers)
    failures = _unfit(datasets, scale, options)
    total, done = sum(len(dataset.pairs) for dataset in datasets), len(failures)
    _warm_up(enlargers)
    scores: list[Score] = []
    grey: list[str] = []
    for dataset in datasets:
        tally = _Tally({one.name: [] for one in enlargers}, {one.name: 0.0 for one in enlargers})
        known = {failure.name for failure in failures if failure.dataset == dataset.name}
        for pair in dataset.pairs:
            if pair.name in known:
                continue
            try:
                _measure_pair(pair, dataset.name, enlargers, options, tally, on_result)
            except GramganError as error:
                failures.append(Failure(dataset.name, pair.name, str(error)))
            done += 1
            on_progress(done, total)
        scores += _scores(dataset.name, enlargers, tally, options)
        grey += tally.grey
    if not scores:
        reasons = first_of([failure.reason for failure in failures], SHOWN)
        raise GramganError(reasons or "There are no images to measure.")
    return Measured(scale, options, tuple(scores), tuple(failures), tuple(grey))


def _check_references(datasets: Sequence[Dataset], enlargers: Sequence[Enlarger]) -> None:
    """Raise GramganError if a model needs references that a dataset lacks."""
    for enlarger in enlargers:
        for dataset in datasets:
            if enlarger.needs_reference and dataset.pairs[0].reference is None:
                raise GramganError(
                    f"The model '{enlarger.name}' needs references, and {dataset.folder} has none.",
                    "Name the images NNN_0 and NNN_1 (as in CUFED5), or *_in and *_ref.",
                )


def lr_note(datasets: Sequence[Dataset], enlargers: Sequence[Enlarger], convention: Modern) -> str | None:
    """Note for the user if ``Classic`` makes LR for interpolations while models get a dataset's, else None."""
    kinds = {enlarger.interpolation is None for enlarger in enlargers}
    own = [str(dataset.folder) for dataset in datasets if any(pair.lr is not None for pair in dataset.pairs)]
    if not isinstance(convention, Classic) or len(kinds) < 2 or not own:
        return None
    return (
        f"The convention classic reduces HR itself for interpolations, but models get the LR of {', '.join(own)}. "
        "If that LR is not a plain reduction of HR, compare them with the convention modern."
    )


def _unfit(datasets: Sequence[Dataset], scale: int, options: BenchOptions) -> list[Failure]:
    """Failures for pictures that can't be measured, judged by their file headers."""
    sides = {"measuring": WINDOW} | {metric.name: metric.smallest for metric in options.metrics}
    what = max(sides, key=lambda name: sides[name])
    least = sides[what] + 2 * options.convention.border(scale)
    failures = []
    for dataset in datasets:
        for pair in dataset.pairs:
            try:
                _check_pair(pair, scale, least, what)
            except GramganError as error:
                failures.append(Failure(dataset.name, pair.name, str(error)))
    return failures


def _check_pair(pair: PairOfFiles, scale: int, least: int, what: str) -> None:
    height, width = (side - side % scale for side in picture_size(pair.hr))
    if min(height, width) < least:
        raise GramganError(f"{pair.hr} has {width}x{height} pixels: {what} needs {least} on each side.")
    if pair.lr is not None:
        lr_height, lr_width = picture_size(pair.lr)
        if (lr_height * scale, lr_width * scale) != (height, width):
            raise GramganError(
                f"{pair.lr} has {lr_width}x{lr_height} pixels, but the x{scale} LR image of {pair.hr} must "
                f"have {width // scale}x{height // scale}."
            )
    if pair.reference is not None:
        picture_size(pair.reference)


def _warm_up(enlargers: Sequence[Enlarger]) -> None:
    """Run each enlarger once, so that allocation and kernel selection don't count towards its speed."""
    for enlarger in enlargers:
        enlarger.enlarge(np.zeros((16, 16, 3), np.uint8), np.zeros((64, 64, 3), np.uint8))


def _measure_pair(
    pair: PairOfFiles,
    dataset: str,
    enlargers: Sequence[Enlarger],
    options: BenchOptions,
    tally: _Tally,
    on_result: Callable[[Enlarged], None],
) -> None:
    """Upscale and measure one picture with all models; add it to ``tally`` only if all succeed."""
    scale, convention = enlargers[0].scale, options.convention
    sample = read_sample(pair, scale, convention.channels)
    target = convention.target(sample)
    found: list[tuple[Enlarger, float, Levels, Values]] = []
    for enlarger in enlargers:
        began = time.perf_counter()
        sr = convention.enlarged(enlarger, sample)
        seconds = time.perf_counter() - began
        values = convention.accuracy(sr, target, scale)
        for metric in options.metrics:
            if isinstance(metric, Metric):
                values |= metric.measure(as_rgb8(sr), as_rgb8(target), convention.border(scale))
        found.append((enlarger, seconds, sr, values))
    images = [as_rgb8(target), *(as_rgb8(sr) for _, _, sr, _ in found)]
    features = {metric.name: [metric.features(image) for image in images] for metric in _of_sets(options)}
    plain = next((sr for enlarger, _, sr, _ in found if enlarger.interpolation == "bicubic"), None)
    if plain is None:
        plain = convention.enlarged(interpolation("bicubic", scale), sample)
    for name, rows in features.items():
        tally.features[name].append(rows)
    for enlarger, seconds, sr, values in found:
        tally.images[enlarger.name].append(ImageScore(sample.name, values))
        tally.seconds[enlarger.name] += seconds
        on_result(Enlarged(dataset, sample, target, plain, enlarger.name, sr, values, enlarger.interpolation))
    tally.megapixels += sample.hr.shape[0] * sample.hr.shape[1] / 1e6
    if convention.is_grey(sample):
        tally.grey.append(f"{dataset}/{sample.name}")


def _of_sets(options: BenchOptions) -> list[SetMetric]:
    return [metric for metric in options.metrics if isinstance(metric, SetMetric)]


def _scores(dataset: str, enlargers: Sequence[Enlarger], tally: _Tally, options: BenchOptions) -> list[Score]:
    """Scores on one dataset; empty if none of its pictures was measured."""
    scores = []
    for index, one in enumerate(enlargers, 1):
        if rows := tally.images[one.name]:
            values = _mean(rows)
            for metric in _of_sets(options):
                features = np.array(tally.features[metric.name])  # (pictures, HR and models, D)
                values[metric.quantities[0].key] = metric.distance(features[:, index], features[:, 0])
            scores.append(Score(dataset, one, values, tally.seconds[one.name], tally.megapixels, tuple(rows)))
    return scores


def _mean(rows: Sequence[ImageScore]) -> Values:
    return {key: math.fsum(row.values[key] for row in rows) / len(rows) for key in rows[0].values}


def with_distinct_names(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Rename datasets of the same name by their folders, as in 'a/test' and 'b/test'.

    Raises UsageError if a folder is given twice.
    """
    labels = distinct_labels([one.name for one in datasets], [one.folder.resolve() for one in datasets])
    return [replace(one, name=label) for one, label in zip(datasets, labels, strict=True)]


def image_path(folder: Path, dataset: str, model: str, name: str) -> Path:
    """Path of a result's picture."""
    return folder / dataset / model / f"{name}.png"


def check_images(folder: Path, datasets: Sequence[Dataset], enlargers: Sequence[Enlarger], overwrite: bool) -> None:
    """Raise TargetExists if a result's picture exists, unless ``overwrite``."""
    for dataset in datasets:
        for enlarger in enlargers:
            for pair in dataset.pairs:
                check_target(image_path(folder, dataset.name, enlarger.name, pair.name), overwrite)


def save_image(folder: Path, result: Enlarged) -> None:
    """Write a result to ``folder``/DATASET/MODEL/NAME.png."""
    with replacing(image_path(folder, result.dataset, result.model, result.sample.name)) as temporary:
        Image.fromarray(result.sr if result.sr.shape[2] == 3 else result.sr[:, :, 0]).save(temporary, format="PNG")
