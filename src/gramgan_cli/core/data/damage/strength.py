"""Strength of the degradation of LR in a training run or a measured set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BEST_QUALITY = 97
"""Highest JPEG quality; above it artifacts are invisible."""

LEVELS = {"mild": 1 / 3, "medium": 2 / 3, "strong": 1.0}
"""Named severities."""


@dataclass(frozen=True)
class Degradation:
    """Strength and frequency of degradation. The defaults degrade nothing."""

    model: Literal["web", "wide"] = "web"
    """Damage typical of the web and of phones (``web.py``), or any damage up to ruined photos (``wide.py``)."""
    share: float = 0.0
    """Fraction of degraded crops; the others get the plainly reduced LR of the whole photo."""
    chance: float = 0.6
    """Probability of each operation in each round."""
    blur: float = 1.5
    """Largest standard deviation of the blur, in pixels of the image it is applied to."""
    shrink: float = 0.5
    """Smallest image size between the rounds, relative to HR."""
    noise: float = 6.0
    """Largest standard deviation of the Gaussian noise, in 8-bit levels."""
    quality: int = 45
    """Lowest JPEG quality."""
    severity: float = 0.0
    """Severity of the wide model, 0 to 1; 0 draws it at random for each image."""
