"""How sure the numbers of a table are: intervals of means, and paired differences between models."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gramgan_cli.engines.measure.bench import Score

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """The second model less the first, picture by picture, in one quantity."""

    dataset: str
    first: str
    second: str
    key: str
    mean: float
    standard_error: float
    """Sample deviation of the differences over the root of their number."""
    p: float
    """Of Wilcoxon's signed-rank test, two-sided: how likely such differences are where the models are equally good."""
    images: int


def half_width(values: Sequence[float]) -> float | None:
    """What to add to and take from the mean for its 95 % interval (Student's t); None for fewer than two values.

    None too where a value is not finite.
    """
    from scipy.stats import t

    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        return None
    deviation = float(np.std(values, ddof=1))
    return float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))


def intervals(score: Score) -> dict[str, float | None]:
    """Quantity -> half the width of its mean's 95 % interval."""
    return {key: half_width([image.values[key] for image in score.images]) for key in score.values}


def differences(scores: Sequence[Score]) -> list[Difference]:
    """Every two models of a dataset in every quantity; nothing where pictures are fewer than two or values infinite."""
    found = []
    for _, group in itertools.groupby(scores, key=lambda score: score.dataset):
        for first, second in itertools.combinations(list(group), 2):
            for key in first.values:
                difference = paired(first, second, key)
                if difference is not None:
                    found.append(difference)
    return found


def paired(first: Score, second: Score, key: str) -> Difference | None:
    """The difference of two models of one dataset; they were measured on the same pictures in the same order."""
    from scipy.stats import wilcoxon

    pairs = zip(first.images, second.images, strict=True)
    apart = np.array([after.values[key] - before.values[key] for before, after in pairs])
    if len(apart) < 2 or not np.isfinite(apart).all():
        return None
    error = float(np.std(apart, ddof=1)) / math.sqrt(len(apart))
    p = float(wilcoxon(apart).pvalue) if np.any(apart) else 1.0
    return Difference(first.dataset, first.model, second.model, key, float(np.mean(apart)), error, p, len(apart))
