"""Settings that a run makes no use of, such as the size of a mask in a run without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gramgan_cli.core.data.shards import is_shards
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train.steps.terms import needs_features
from gramgan_cli.recipes.convert import flat, flatten
from gramgan_cli.recipes.schema import Recipe

OPTIONS = {"texture.db": "`db`"}
"""Options that set a key of the recipe, by key."""

FREE_TABLE = "features.taps."
"""The table whose keys are names of layers, so that a complete recipe need not state the default's."""


def check_settings(settings: Iterable[Mapping[str, Any]], recipe: Recipe) -> None:
    """Raise UsageError if the user set a key that has no effect in ``recipe``, the resolved one.

    A key at its default states what holds anyway, so it is allowed.
    """
    chosen = {key for setting in settings for key in flat(setting)}
    for unused, hint in _unused(chosen, recipe):
        named = ", ".join(OPTIONS.get(key, key) for key in unused)
        raise UsageError(f"{named} {'have' if len(unused) > 1 else 'has'} no effect in this run.", hint)


def check_file(tables: Mapping[str, Any], recipe: Recipe, resolved: Recipe) -> None:
    """Raise UsageError if a recipe file states a key that has an effect neither in it nor with the user's settings.

    Files that state every key, as a run records them, are not checked: a run may have turned a part off.

    Args:
        tables: the file's content.
        recipe: the recipe of the file alone.
        resolved: the same with the user's settings.
    """
    chosen = set(flat(tables))
    if chosen >= {key for key in flatten(Recipe()) if not key.startswith(FREE_TABLE)}:
        return
    unused_now = {key for unused, _hint in _unused(chosen, resolved) for key in unused}
    for unused, hint in _unused(unused_now, recipe):
        named = f"{', '.join(unused)} of the recipe {recipe.name}"
        raise UsageError(f"{named} {'have' if len(unused) > 1 else 'has'} no effect.", f"{hint} Or leave it out.")


def _unused(chosen: set[str], recipe: Recipe) -> Iterator[tuple[list[str], str]]:
    """Keys among ``chosen`` that have no effect in ``recipe``, with what would make it use them."""
    values, defaults = flatten(recipe), flatten(Recipe())
    changed = sorted(key for key in chosen if values.get(key) != defaults.get(key))
    for keys, hint in _without_effect(recipe):
        if unused := [key for key in changed if key.startswith(keys)]:
            yield unused, hint


def _without_effect(recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
    """Keys, or beginnings of keys, that the recipe does not use, each with what would make it use them."""
    loss, arch = recipe.loss, recipe.network["arch"]
    judged = recipe.discriminator.arch != "none"
    rules = [
        (judged, ("discriminator.", "optimizer.discriminator_", "loss.adversarial_form"), "Set discriminator.arch."),
        (judged, ("mask.",), "The mask hides parts from a discriminator: set discriminator.arch."),
        (recipe.mask.mode != "none", ("mask.",), "Set mask.mode."),
        (
            needs_features(recipe) or bool(loss.dists) or arch == "ttsr",
            ("features.",),
            "Set loss.perceptual, loss.style or loss.dists.",
        ),
        (bool(loss.perceptual), ("features.jitter", "features.distance"), "Set loss.perceptual."),
        (bool(loss.texture), ("texture.",), "Set loss.texture."),
        (
            recipe.texture.candidates != "image",
            ("texture.db",),
            "Set texture.candidates=database or both.",
        ),
        (
            bool(loss.content or loss.frequency or loss.perceptual or loss.dists),
            ("loss.sharpened",),
            "Set one of the losses that compare with the target: loss.content, frequency, perceptual or dists.",
        ),
        (bool(recipe.degradation.share), ("degradation.",), "Set degradation.share."),
        (recipe.degradation.model == "wide", ("degradation.severity",), "Set degradation.model=wide."),
        (bool(loss.content), ("loss.content_",), "Set loss.content."),
        (recipe.schedule.shape == "steps", ("schedule.milestones", "schedule.factor"), "Set schedule.shape=steps."),
        (bool(recipe.schedule.milestones), ("schedule.factor",), "Set schedule.milestones."),
        (recipe.schedule.shape == "cosine", ("schedule.period",), "Set schedule.shape=cosine."),
        (arch == "ttsr", ("optimizer.extractor_rate",), "Only TTSR has a texture extractor: set network.arch=ttsr."),
        (recipe.data.references == "folder", ("data.ref_dir",), "Set data.references=folder."),
        (
            _windows_serve(recipe),
            ("data.window", "data.crops_per_photo"),
            "Photos in folders are all in reach at once; only tar shards are read window by window.",
        ),
        (bool(recipe.stage), ("stage_steps",), "Name the recipe of a first stage with stage."),
    ]
    return [(keys, hint) for used, keys, hint in rules if not used]


def _windows_serve(recipe: Recipe) -> bool:
    """Whether photos are read window by window. Locations, which may be remote, are looked at only if it matters."""
    data, default = recipe.data, Recipe().data
    usual = (data.window, data.crops_per_photo) == (default.window, default.crops_per_photo)
    return usual or any(map(is_shards, data.hr_dir))
