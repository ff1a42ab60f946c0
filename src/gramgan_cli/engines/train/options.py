"""Options and result of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_RECIPE = "gramgan"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of ``gramgan train``."""

    recipe: str | None = None
    """Recipe name or TOML file; None means ``DEFAULT_RECIPE``, or the recorded one if ``resume``."""
    settings: Sequence[Mapping[str, Any]] = ()
    """Changes to the recipe, applied in order."""
    out: Path | None = None
    """Run folder; None means ``runs/RECIPE``."""
    resume: bool = False
    """Continue the run in the folder."""
    device: str = "auto"
    """Device of a single process."""
    store: bool = True
    """Whether to put a finished run's generator into the store."""
    gpus: tuple[int, ...] = ()
    """CUDA device numbers, one process each; empty means one process on ``device``."""


@dataclass(frozen=True)
class TrainResult:
    """Result of a training run."""

    steps: int
    """Steps done."""
    finished: bool
    """False if the run was stopped after a step, with everything saved."""
    weights: Path
    """File of the averaged generator."""
