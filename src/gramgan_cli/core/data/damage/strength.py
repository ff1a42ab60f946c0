"""How damaged the LR of a training run, or of a measured set, is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BEST_QUALITY = 97
"""Of JPEG; above it nothing is visible."""

LEVELS = {"mild": 1 / 3, "medium": 2 / 3, "strong": 1.0}
"""Severities that have a name."""


@dataclass(frozen=True)
class Degradation:
    """How strong, and how often. The defaults degrade nothing."""

    model: Literal["web", "wide"] = "web"
    """Photos from the web and from phones (``web.py``), or up to ruined ones (``wide.py``)."""
    share: float = 0.0
    """Share of the crops that are degraded; the LR of the others is the plain reduction of the whole photo."""
    chance: float = 0.6
    """Of each operation in each round."""
    blur: float = 1.5
    """Largest deviation of the blur, in pixels of the picture that it meets."""
    shrink: float = 0.5
    """Smallest side, over HR's, of the picture between the rounds."""
    noise: float = 6.0
    """Largest deviation of the Gaussian noise, in 8-bit levels."""
    quality: int = 45
    """Lowest JPEG quality."""
    severity: float = 0.0
    """Of the wide model, 0 to 1: always this; 0 draws it anew for each picture."""
