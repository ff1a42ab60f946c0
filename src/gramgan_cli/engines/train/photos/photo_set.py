"""Training and validation photos of a run, decoded, and the sampler that draws crops."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gramgan_cli.core.data.crops import (
    Augmentation,
    CropOptions,
    CropSampler,
    area_of,
    degraded_photo,
    middle_crop,
    middle_of,
)
from gramgan_cli.core.data.holdout import held_out_indices, shared_indices
from gramgan_cli.core.data.prepared import Channels, PreparedPhoto, add_references, prepare_photos, read_rgb
from gramgan_cli.core.data.shards import ShardSampler, find_shards, is_shards
from gramgan_cli.core.data.sources import given_pairs, referenced_pairs
from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.io.folders import cache_dir
from gramgan_cli.core.texture.patchdb.bank import load_bank
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.parallel.group import Group
from gramgan_cli.engines.train.photos.shard_photos import ShardPhotos, shard_photos, shard_sampler, validation_photos
from gramgan_cli.engines.train.steps.texture_term import needs_bank
from gramgan_cli.engines.train.validate import measurable
from gramgan_cli.recipes.schema import Recipe


@dataclass(frozen=True)
class PhotoSet:
    """Photos of a run."""

    sampler: CropSampler | ShardSampler
    """Sampler of each step's crops."""
    valid: list[PreparedPhoto]
    """Validation photos."""
    listed: list[Path]
    """Paths for the training record: photos, or shards with their photo counts."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the names of the photos for training and validation, in order: crops are drawn by number."""
        names = [*(path.name for path in self.listed), "", *(photo.name for photo in self.valid)]
        return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class PhotoFiles:
    """HR photos with their given LR and references, if any."""

    hr: tuple[Path, ...]
    lr: tuple[Path, ...] | None = None
    shares: tuple[float, ...] = ()
    """Share of the crops drawn from each source; empty means by area."""
    sources: tuple[int, ...] = ()
    """Index of each photo's source."""
    references: tuple[Path, ...] = ()
    """Reference of each photo, if the dataset provides them."""

    def prepared(
        self, scale: int, progress: Callable[[int, int], None] | None, channels: Channels
    ) -> list[PreparedPhoto]:
        """Decode the photos into the cache and return them."""
        if not self.hr:
            return []
        photos = prepare_photos(self.hr, scale, cache_dir() / "prepared", progress, self.lr, channels)
        if not self.references:
            return photos
        return [replace(photo, ref=read_rgb(path)) for photo, path in zip(photos, self.references, strict=True)]

    def at(self, indices: Sequence[int]) -> PhotoFiles:
        """The photos at ``indices``."""
        return PhotoFiles(
            tuple(self.hr[index] for index in indices),
            None if self.lr is None else tuple(self.lr[index] for index in indices),
            self.shares,
            tuple(self.sources[index] for index in indices),
        )


@dataclass(frozen=True)
class Split:
    """Training and validation photos."""

    train: PhotoFiles
    valid: PhotoFiles
    line: str
    """Description for the user."""


def _files(recipe: Recipe, scale: int) -> PhotoFiles:
    """The photos of all sources that are not shards, in order."""
    hr: list[Path] = []
    lr: list[Path] = []
    sources: list[int] = []
    for number, source in enumerate(recipe.data.hr_dir):
        if is_shards(source):
            continue
        given = recipe.data.lr_dir[number] if recipe.data.lr_dir else ""
        photos, partners = given_pairs(source, given, scale)
        if partners is None and lr:
            raise UsageError(
                f"{source} has no given LR, but the sources before it have.",
                "Train with given LR for all sources, or for none.",
            )
        if partners is not None and len(hr) > len(lr):
            raise UsageError(f"{source} has given LR, but the sources before it have none.", "Pass theirs too.")
        hr += photos
        lr += partners or []
        sources += [number] * len(photos)
    return PhotoFiles(tuple(hr), tuple(lr) if lr else None, recipe.data.weights, tuple(sources))


def _validation_files(recipe: Recipe, scale: int) -> tuple[PhotoFiles, str]:
    """The photos of the validation folder, and a phrase saying what comes with them (references, LR)."""
    data = recipe.data
    if pairs := referenced_pairs(Path(data.valid_dir), scale):
        files = PhotoFiles(tuple(hr for hr, _ in pairs))
        if data.references == "none":
            return files, ""
        return replace(files, references=tuple(reference for _, reference in pairs)), " with their references"
    hr, lr = given_pairs(data.valid_dir, data.valid_lr_dir, scale)
    return PhotoFiles(tuple(hr), None if lr is None else tuple(lr)), "" if lr is None else " (given LR)"


def _check_weights(recipe: Recipe) -> None:
    """Raise UsageError for weights that shards can't have: they are read as one source, beside folders."""
    if not recipe.data.weights:
        return
    sharded = sum(map(is_shards, recipe.data.hr_dir))
    if sharded and (sharded > 1 or sharded == len(recipe.data.hr_dir)):
        raise UsageError(
            "data.weights can only weight one source of tar shards against folders.",
            "Leave it out: each photo in shards is drawn equally often.",
        )


def split_photos(recipe: Recipe, scale: int) -> Split:
    """Split the photos into training and validation photos.

    Without a validation folder, one photo in twenty is held out (at least one, at most eight), evenly spaced.
    """
    photos = _files(recipe, scale)
    if photos.lr is not None and recipe.data.rotation:
        raise UsageError(
            "data.rotation needs LR images that are made from HR, but these photos have given LR.",
            "Set data.rotation=0, or move the LR images elsewhere.",
        )
    if recipe.data.valid_dir:
        valid, what = _validation_files(recipe, scale)
        rest, line = _without(photos, valid.hr)
        return Split(rest, valid, f"{line}; validated on the {len(valid.hr)} of {recipe.data.valid_dir}{what}.")
    first = {path.resolve(): index for index, path in reversed([*enumerate(photos.hr)])}
    each = sorted(first.values())
    if len(each) == 1:
        return Split(photos, photos, "1 photo, on which the run is also validated: the scores will be too good.")
    held_out = photos.at([each[index] for index in held_out_indices(len(each))])
    rest = photos.at(_others(photos.hr, held_out.hr))
    line = f"{_counted(rest)}; {len(held_out.hr)} held out for validation (or choose a folder with `valid_dir`)."
    return Split(rest, held_out, line)


def _counted(photos: PhotoFiles) -> str:
    return f"{len(photos.hr)} photos" + ("" if photos.lr is None else " with given LR")


def _others(photos: Sequence[Path], excluded: Sequence[Path]) -> list[int]:
    """Indices of the photos that are not the same files as ``excluded``."""
    shared = set(shared_indices(photos, excluded))
    return [index for index in range(len(photos)) if index not in shared]


def _without(photos: PhotoFiles, valid: Sequence[Path]) -> tuple[PhotoFiles, str]:
    """Photos for training, without those for validation, and a phrase that says so."""
    rest = photos.at(_others(photos.hr, valid))
    if not rest.hr and photos.hr:
        return photos, f"{_counted(photos)}, all of which validate the run too (the scores will be too good)"
    left_out = len(photos.hr) - len(rest.hr)
    are = "is" if left_out == 1 else "are"
    return rest, _counted(rest) + (f" ({left_out} more {are} only for validation)" if left_out else "")


def count_photos(recipe: Recipe, scale: int) -> tuple[int, int, str]:
    """Numbers of training and validation photos, and a line describing them for the user."""
    _check_weights(recipe)
    if files := find_shards(recipe.data.hr_dir):
        sharded = shard_photos(recipe, files)
        beside = len(_without(_files(recipe, scale), sharded.valid_paths)[0].hr)
        held_out = len(sharded.held_out)
        return sharded.shards.photos - held_out + beside, held_out or len(sharded.valid_paths), sharded.line(beside)
    split = split_photos(recipe, scale)
    return len(split.train.hr), len(split.valid.hr), split.line


def held_out_in_bank(recipe: Recipe, scale: int) -> str | None:
    """A warning for the user if the texture bank holds patches of validation photos, else None."""
    if not needs_bank(recipe) or find_shards(recipe.data.hr_dir):
        return None
    provenance = load_bank(Path(recipe.texture.db)).provenance
    sampled = {Path(provenance.hr_dir, photo.name) for photo in provenance.photos if photo.positions}
    shared = sampled & {path.resolve() for path in split_photos(recipe, scale).valid.hr}
    if not shared:
        return None
    return (
        f"The texture bank contains patches of {len(shared)} of the validation photos: the scores will be too good. "
        "Build the bank from the same `hr_dir` and `valid_dir`."
    )


def channels_of(recipe: Recipe) -> Channels:
    """Channels of the photos for the recipe's network: 1 (grey) or 3."""
    return 1 if recipe.network.get("in_nc") == 1 else 3


def read_photos(recipe: Recipe, scale: int, callbacks: TrainCallbacks, group: Group) -> PhotoSet:
    """Prepare the photos, the main process first so that the others find them in the cache."""
    if not group.is_main:
        group.barrier()
    _check_weights(recipe)
    progress, channels = callbacks.on_prepare if group.is_main else None, channels_of(recipe)
    files = find_shards(recipe.data.hr_dir)
    sharded = shard_photos(recipe, files, progress) if files else None
    if sharded is not None:
        beside, _ = _without(_files(recipe, scale), sharded.valid_paths)
        photos, listed, line = (
            beside.prepared(scale, progress, channels),
            [*sharded.names, *beside.hr],
            sharded.line(len(beside.hr)),
        )
        valid = validation_photos(sharded, scale, channels, progress)
    else:
        beside = PhotoFiles(())
        split = split_photos(recipe, scale)
        listed, line = list(split.train.hr), split.line
        photos, valid = (files.prepared(scale, progress, channels) for files in (split.train, split.valid))
    if recipe.data.references == "folder":
        photos = add_references(photos, Path(recipe.data.ref_dir), progress)
        if any(photo.ref is None for photo in valid):
            valid = add_references(valid, Path(recipe.data.ref_dir), progress)
    chosen = len(valid)
    valid = _measured(recipe, valid, scale)
    if group.is_main:
        group.barrier()
        callbacks.on_note(line)
        if len(valid) < chosen:
            callbacks.on_note(
                f"Left out of validation, because they are too small: {chosen - len(valid)} of {chosen} photos."
            )
    make = _sampler_of(recipe, scale, group)
    if sharded is None:
        return PhotoSet(make(photos, _shares(photos, split.train)), valid, listed)
    mixed = _mixed(make, photos, beside, sharded, recipe) if photos else lambda window: make(window, None)
    return PhotoSet(shard_sampler(recipe, sharded, scale, mixed, channels), valid, listed)


def _shares(photos: Sequence[PreparedPhoto], files: PhotoFiles) -> list[float] | None:
    """Share of the crops per photo if the recipe weights its sources (within a source by area), else None."""
    if not files.shares:
        return None
    areas = [area_of(photo) for photo in photos]
    totals: dict[int, float] = {}
    for area, source in zip(areas, files.sources, strict=True):
        totals[source] = totals.get(source, 0.0) + area
    return [files.shares[source] * area / totals[source] for area, source in zip(areas, files.sources, strict=True)]


def _mixed(
    make: MakeSampler, photos: list[PreparedPhoto], files: PhotoFiles, sharded: ShardPhotos, recipe: Recipe
) -> Callable[[list[PreparedPhoto]], CropSampler]:
    """Factory of samplers over a window of shards plus the folders' photos; weighted by photo counts by default."""
    own = _shares(photos, files) or [1.0] * len(photos)
    in_folders = set(files.sources)
    weights = recipe.data.weights
    of_shards = (
        sum(weight for number, weight in enumerate(weights) if number not in in_folders)
        if weights
        else float(sharded.shards.photos)
    )

    def mixed(window: list[PreparedPhoto]) -> CropSampler:
        return make([*window, *photos], [*[of_shards / len(window)] * len(window), *own])

    return mixed


def _measured(recipe: Recipe, photos: list[PreparedPhoto], scale: int) -> list[PreparedPhoto]:
    """The validation photos that are large enough, cropped and degraded as the recipe sets."""
    with_references = recipe.data.references != "none"
    crop = recipe.data.valid_crop or (recipe.data.hr_crop if with_references else 0)
    photos = measurable(photos, scale, crop)
    if with_references:
        photos = [middle_crop(photo, scale, crop, recipe.seed) for photo in photos]
    elif crop:
        photos = [middle_of(photo, scale, crop) for photo in photos]
    if recipe.degradation.share:
        photos = [degraded_photo(photo, scale, recipe.degradation, recipe.seed) for photo in photos]
    return photos


class MakeSampler(Protocol):
    """Factory of crop samplers."""

    def __call__(self, photos: list[PreparedPhoto], shares: list[float] | None) -> CropSampler:
        """Make a sampler of ``photos``; ``shares`` as in ``CropSampler``."""


def _sampler_of(recipe: Recipe, scale: int, group: Group) -> MakeSampler:
    """Factory of crop samplers with the recipe's settings."""
    options = CropOptions(
        with_references=recipe.data.references != "none",
        degradation=recipe.degradation if recipe.degradation.share else None,
        augmentation=Augmentation(recipe.data.flips, recipe.data.rotation),
    )

    def make(photos: list[PreparedPhoto], shares: list[float] | None) -> CropSampler:
        data, share = recipe.data, (group.rank, group.processes)
        return CropSampler(photos, scale, data.hr_crop, recipe.batch_size, recipe.seed, share, options, shares)

    return make
