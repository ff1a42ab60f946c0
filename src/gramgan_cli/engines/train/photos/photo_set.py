"""Which photos a run trains on and which it is measured on, decoded, with the sampler that draws its crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gramgan_cli.core.data.crops import CropSampler, degraded_photo, middle_crop
from gramgan_cli.core.data.listing import list_pictures
from gramgan_cli.core.data.prepared import PreparedPhoto, add_references, prepare_photos
from gramgan_cli.core.data.shards import ShardSampler, find_shards
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.shard_photos import shard_photos, shard_sampler, validation_photos
from gramgan_cli.engines.train.validate import measurable
from gramgan_cli.recipes.schema import Recipe


@dataclass(frozen=True)
class PhotoSet:
    """The photos of one run."""

    sampler: CropSampler | ShardSampler
    """Draws each step's crops."""
    valid: list[PreparedPhoto]
    """What the run is measured on."""
    listed: list[Path]
    """What the training record lists: photos, or shards with their counts."""


def split_photos(recipe: Recipe) -> tuple[list[Path], list[Path], str]:
    """Training photos, validation photos, and a line that says which are which.

    Without a validation folder one photo in twenty is held out (one at least, eight at most), evenly spread.
    """
    photos = [path for folder in recipe.data.hr_dir for path in list_pictures(Path(folder))]
    if recipe.data.valid_dir:
        held_out = list_pictures(Path(recipe.data.valid_dir))
        return photos, held_out, f"{len(photos)} photos; validated on the {len(held_out)} of {recipe.data.valid_dir}."
    if len(photos) == 1:
        return photos, photos, "1 photo, which is also what the run is validated on: the numbers will flatter."
    count = min(8, max(1, len(photos) // 20))
    held_out = [photos[(2 * i + 1) * len(photos) // (2 * count)] for i in range(count)]
    rest = [path for path in photos if path not in held_out]
    return rest, held_out, f"{len(rest)} photos; {count} held out for validation (or name a folder by --valid-dir)."


def read_photos(recipe: Recipe, scale: int, callbacks: TrainCallbacks, group: Group) -> PhotoSet:
    """Prepare the photos; the main process first, so that the others find them prepared."""
    if not group.is_main:
        group.barrier()
    progress = callbacks.on_prepare if group.is_main else None
    photos: list[PreparedPhoto] = []
    sharded = shard_photos(recipe, files, progress) if (files := find_shards(recipe.data.hr_dir)) else None
    if sharded is not None:
        listed, line = sharded.names, sharded.line
        valid = validation_photos(sharded, scale, progress)
    else:
        listed, held_out, line = split_photos(recipe)
        prepared = cache_dir() / "prepared"
        photos = prepare_photos(listed, scale, prepared, progress)
        valid = prepare_photos(held_out, scale, prepared, progress)
    if recipe.data.references == "folder":
        photos, valid = (add_references(some, Path(recipe.data.ref_dir), progress) for some in (photos, valid))
    chosen = len(valid)
    valid = _measured(recipe, valid, scale)
    if group.is_main:
        group.barrier()
        callbacks.on_note(line)
        if len(valid) < chosen:
            callbacks.on_note(f"Too small to validate on, left out: {chosen - len(valid)} of {chosen}.")
    make = _sampler_of(recipe, scale, group)
    sampler = shard_sampler(recipe, sharded, scale, make) if sharded is not None else make(photos)
    return PhotoSet(sampler, valid, listed)


def _measured(recipe: Recipe, photos: list[PreparedPhoto], scale: int) -> list[PreparedPhoto]:
    """The validation photos as they are measured: large enough, cropped where references are matched, degraded."""
    with_references = recipe.data.references != "none"
    photos = measurable(photos, scale, recipe.data.hr_crop if with_references else 0)
    if with_references:
        photos = [middle_crop(photo, scale, recipe.data.hr_crop, recipe.seed) for photo in photos]
    if recipe.degradation.share:
        photos = [degraded_photo(photo, scale, recipe.degradation, recipe.seed) for photo in photos]
    return photos


def _sampler_of(recipe: Recipe, scale: int, group: Group) -> Callable[[list[PreparedPhoto]], CropSampler]:
    """Makes the sampler of some photos, by the recipe."""

    def make(photos: list[PreparedPhoto]) -> CropSampler:
        return CropSampler(
            photos,
            scale,
            recipe.data.hr_crop,
            recipe.batch_size,
            recipe.seed,
            (group.rank, group.processes),
            recipe.data.references != "none",
            recipe.degradation if recipe.degradation.share else None,
        )

    return make
