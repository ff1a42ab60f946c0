"""Confidence intervals of means, and paired differences between models."""

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
    """Paired difference of two models, second minus first, in one quantity."""

    dataset: str
    first: str
    second: str
    key: str
    mean: float
    standard_error: float
    """Sample standard deviation of the differences divided by the square root of their number."""
    p: float
    """p-value of the two-sided Wilcoxon signed-rank test."""
    images: int


def half_width(values: Sequence[float]) -> float | None:
    """Half the width of the mean's 95 % confidence interval (Student's t).

    None for fewer than two values, or if a value is not finite.
    """
    from scipy.stats import t

    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        return None
    deviation = float(np.std(values, ddof=1))
    return float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))


def intervals(score: Score) -> dict[str, float | None]:
    """Half the width of the 95 % confidence interval of each quantity's mean; None for values of whole datasets."""
    each = {key: [image.values[key] for image in score.images if key in image.values] for key in score.values}
    return {key: half_width(values) for key, values in each.items()}


def differences(scores: Sequence[Score]) -> list[Difference]:
    """Differences of all pairs of models per dataset and quantity, if there are two pictures and values are finite."""
    found = []
    for _, group in itertools.groupby(scores, key=lambda score: score.dataset):
        for first, second in itertools.combinations(list(group), 2):
            for key in first.images[0].values:
                difference = paired(first, second, key)
                if difference is not None:
                    found.append(difference)
    return found


def paired(first: Score, second: Score, key: str) -> Difference | None:
    """Difference of two models on one dataset, measured on the same pictures in the same order."""
    from scipy.stats import wilcoxon

    pairs = zip(first.images, second.images, strict=True)
    apart = np.array([after.values[key] - before.values[key] for before, after in pairs])
    if len(apart) < 2 or not np.isfinite(apart).all():
        return None
    error = float(np.std(apart, ddof=1)) / math.sqrt(len(apart))
    p = float(wilcoxon(apart).pvalue) if np.any(apart) else 1.0
    return Difference(first.dataset, first.model, second.model, key, float(np.mean(apart)), error, p, len(apart))
