"""The training record in the header of a run's weights."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gramgan_cli.engines.train.run.checkpoint import Progress
from gramgan_cli.recipes.convert import method
from gramgan_cli.recipes.schema import LOSS_TERMS, Recipe

MOST_NAMES = 1_000
"""Most photo names that a record lists; for larger sets it has only the count and a hash of the names."""


def training_record(recipe: Recipe, photos: Sequence[Path], progress: Progress, device: torch.device) -> dict[str, Any]:
    """Training record for the weights' header: recipe, settings, steps, photos, hardware and initial weights."""
    names = sorted(path.name for path in photos)
    listed = hashlib.sha256("\n".join(names).encode()).hexdigest()
    origin = dict(progress.origin)
    if origin.get("photo_list_sha256") == listed:
        origin.pop("photo_names", None)  # the same list as the new record's
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    record: dict[str, Any] = {
        "recipe": recipe.name,
        "losses": [*(name for name in LOSS_TERMS if getattr(recipe.loss, name)), *recipe.loss.plugins],
        "settings": method(recipe),
        "steps": progress.step,
        "batch_size": recipe.batch_size,
        "hr_crop": recipe.data.hr_crop,
        "seed": recipe.seed,
        "init": origin or "random",
        "hours": round(progress.seconds / 3600, 3),
        "machine": f"{where}, {torch.get_num_threads()} threads",
        "photos": len(names),
        "photo_list_sha256": listed,
    }
    if len(names) <= MOST_NAMES:
        record["photo_names"] = names
    if recipe.loss.perceptual or recipe.loss.style or recipe.network["arch"] == "ttsr":
        from gramgan_cli.core.features import weights_record  # brings torchvision, which most runs don't need

        record["features"] = f"{recipe.features.extractor} with {weights_record(recipe.features.weights)} weights"
    if recipe.loss.dists:
        from gramgan_cli.core.features import weights_record

        record["dists"] = f"vgg16 with {weights_record(recipe.features.weights)} weights"
    return record
