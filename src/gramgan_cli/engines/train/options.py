"""What a training run is asked for, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainOptions:
    """One call of ``gramgan train``."""

    recipe: str
    """Name or TOML file."""
    settings: Sequence[Mapping[str, Any]] = ()
    """Changes to the recipe, in order."""
    out: Path | None = None
    """Run folder; None is ``runs/RECIPE``."""
    resume: bool = False
    """Continue the run in the folder."""
    device: str = "auto"
    """Where it computes, with one process."""
    store: bool = True
    """Put a finished run's generator into the store."""
    gpus: tuple[int, ...] = ()
    """CUDA devices, one process each; empty is one process on ``device``."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    steps: int
    """Steps done."""
    finished: bool
    """False: stopped at a step boundary, everything saved."""
    weights: Path
    """The averaged generator."""
