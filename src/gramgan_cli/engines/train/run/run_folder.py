"""The folder of one training run: its recipe, metrics, weights, state and samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.io.files import replacing, write_errors
from gramgan_cli.recipes.convert import merge, read_toml, to_toml
from gramgan_cli.recipes.schema import Recipe


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run folder; reads and writes its small files."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the run: the folder's name."""
        return self.path.resolve().name

    @property
    def recipe_file(self) -> Path:
        """File of the resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def metrics_file(self) -> Path:
        """File of the metrics, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def stored_file(self) -> Path:
        """File with the name and checksum of the model that this run put into the store."""
        return self.path / "stored.json"

    @property
    def state_file(self) -> Path:
        """File with the state that resuming needs."""
        return self.path / "state" / "state.safetensors"

    @property
    def samples(self) -> Path:
        """Folder of the sample grids, one per validation."""
        return self.path / "samples"

    def weights(self, which: str) -> Path:
        """File of the weights ``which``: 'last', 'best_psnr', 'best_ssim' or 'best_loss'."""
        return self.path / f"{which}.safetensors"

    def discriminator(self, which: str) -> Path:
        """File of the discriminator saved with 'best_psnr', 'best_ssim' or 'best_loss'."""
        return self.path / "state" / f"discriminator_{which}.safetensors"

    def check_folder(self) -> None:
        """Raise UsageError if the path, or one above it, is a file."""
        file = next((path for path in (self.path, *self.path.parents) if path.is_file()), None)
        if file is not None:
            raise UsageError(f"{file} is a file, so it can't hold a run.", "Choose a folder with `out`.")

    def check_new(self) -> None:
        """Raise GramganError if the folder already contains a run."""
        if self.recipe_file.exists():
            raise GramganError(
                f"{self.path} already contains a run.",
                "Continue it with `resume`, or choose another folder with `out`.",
            )

    def record(self, recipe: Recipe) -> None:
        """Write the run's recipe."""
        with replacing(self.recipe_file) as temporary:
            temporary.write_text(to_toml(recipe), encoding="utf-8")

    def recipe(self) -> Recipe:
        """Read the run's recipe."""
        if not self.recipe_file.is_file():
            raise GramganError(
                f"There is no run in {self.path}.",
                "Start one without `resume`. These exist: gramgan runs list",
            )
        return merge(Recipe(), read_toml(self.recipe_file.read_text(encoding="utf-8"), str(self.recipe_file)))

    def record_stored(self, name: str, sha256: str) -> None:
        """Write which model in the store belongs to this run."""
        with replacing(self.stored_file) as temporary:
            temporary.write_text(json.dumps({"name": name, "sha256": sha256}), encoding="utf-8")

    def stored(self) -> tuple[str, str] | None:
        """Name and SHA-256 of the model that this run put into the store, or None."""
        try:
            record = json.loads(self.stored_file.read_text(encoding="utf-8"))
            return str(record["name"]), str(record["sha256"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one row to the metrics."""
        hint = "Check the free disk space and your permission to write there, then continue with `resume`."
        with write_errors(self.metrics_file, hint), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rewind_metrics(self, step: int) -> None:
        """Remove an incomplete last line and the rows after ``step``, which a resumed run writes again."""
        rows = []
        if self.metrics_file.is_file():
            for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):  # a line that was cut off when the run was killed
                    continue
                if row.get("step", 0) <= step:
                    rows.append(line)
        with replacing(self.metrics_file) as temporary:
            temporary.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        self.append_metrics({"step": step, "resumed_from": step})
