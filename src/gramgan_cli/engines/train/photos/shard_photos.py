"""Training photos in tar shards: counting, hold-out and the crop sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gramgan_cli.core.data.crops import CropSampler
from gramgan_cli.core.data.holdout import held_out_indices
from gramgan_cli.core.data.listing import find_photos
from gramgan_cli.core.data.prepared import Channels, PreparedPhoto, prepare_photos
from gramgan_cli.core.data.shards import Shards, ShardSampler, count_photos, prepared_at
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.recipes.schema import Recipe

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class ShardPhotos:
    """Photos of a run that come from shards."""

    shards: Shards
    valid_paths: tuple[Path, ...]
    """Photos of the validation folder; empty without one."""
    held_out: tuple[int, ...]
    """Indices of the held-out photos; empty with a validation folder."""

    def line(self, beside: int) -> str:
        """Description for the user; ``beside`` is the number of photos in folders."""
        many = f"{self.shards.photos} photos in {len(self.shards.files)} shards"
        many += f" and {beside} in folders" if beside else ""
        if self.valid_paths:
            return f"{many}; validated on the {len(self.valid_paths)} of {self.valid_paths[0].parent}."
        return f"{many}; {len(self.held_out)} of them held out for validation (or choose a folder with `valid_dir`)."

    @property
    def names(self) -> list[Path]:
        """Entries of the training record: shards with their photo counts."""
        pairs = zip(self.shards.files, self.shards.counts, strict=True)
        return [Path(f"{file.rpartition('/')[2]}:{count}") for file, count in pairs]


def shard_photos(recipe: Recipe, files: Sequence[str], progress: Progress = None) -> ShardPhotos:
    """Count the photos and hold some out. Raises UsageError for recipes that shards don't support."""
    if recipe.data.references == "folder":
        raise UsageError("Photos in tar shards can't have a folder of references.", "Set data.references=crops.")
    if recipe.data.lr_dir or recipe.data.valid_lr_dir:
        raise UsageError("Photos in tar shards can't have given LR.", "Unpack the shards, or leave out `lr_dir`.")
    shards = count_photos(files, cache_dir() / "prepared", progress)
    if recipe.data.valid_dir:
        return ShardPhotos(shards, tuple(find_photos(Path(recipe.data.valid_dir))), ())
    if shards.photos == 1:
        raise UsageError(
            "A single photo can't be used for training and held out as well.",
            "Choose a folder of other photos with `valid_dir`.",
        )
    return ShardPhotos(shards, (), tuple(held_out_indices(shards.photos)))


def validation_photos(
    photos: ShardPhotos, scale: int, channels: Channels, progress: Progress = None
) -> list[PreparedPhoto]:
    """Validation photos, decoded."""
    if photos.valid_paths:
        return prepare_photos(photos.valid_paths, scale, cache_dir() / "prepared", progress, channels=channels)
    return prepared_at(photos.shards, photos.held_out, scale, channels)


def shard_sampler(
    recipe: Recipe,
    photos: ShardPhotos,
    scale: int,
    sampler: Callable[[list[PreparedPhoto]], CropSampler],
    channels: Channels,
) -> ShardSampler:
    """Sampler of crops. A window of photos is replaced once it has given ``crops_per_photo`` crops per photo."""
    window = recipe.data.window
    steps = max(1, window * recipe.data.crops_per_photo // recipe.batch_size)
    return ShardSampler(photos.shards, photos.held_out, scale, window, steps, recipe.seed, sampler, channels)
