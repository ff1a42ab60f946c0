"""Recipes: defaults, settings, TOML, and errors that name the nearest key."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import pytest

from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.engines.train.check_recipe import check_recipe
from gramgan_cli.recipes.convert import differences, merge, merge_all, method, parse_setting, to_toml
from gramgan_cli.recipes.load import load_recipe, recipe_names
from gramgan_cli.recipes.schema import Recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_built_in_recipe_is_complete(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.summary
    assert recipe.source
    hyperparameters = {key: value for key, value in recipe.network.items() if key != "arch"}
    archs.check_hyperparameters(recipe.network["arch"], hyperparameters)
    assert not recipe.stage or recipe.stage in recipe_names()


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_toml(name: str) -> None:
    recipe = load_recipe(name)
    awkward = dataclasses.replace(
        recipe, summary='quote " backslash \\ newline \n ü', init="C:\\weights\\a.safetensors"
    )
    text = to_toml(awkward)
    assert merge(Recipe(), tomllib.loads(text)) == awkward


def test_own_recipes_lie_in_the_data_folder_that_the_variable_names(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GRAMGAN_DATA", str(tmp_path))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "drawings.toml").write_text('summary = "line drawings"\nsteps = 7\n', encoding="utf-8")
    assert "drawings" in recipe_names()
    assert (load_recipe("drawings").name, load_recipe("drawings").steps) == ("drawings", 7)


def test_settings_reach_their_keys() -> None:
    recipe = Recipe()
    for text in ("loss.texture=0.5", "schedule.milestones=[10, 20]", "texture.patches=random:16", "network.nf=32"):
        recipe = merge(recipe, parse_setting(text))
    assert recipe.loss.texture == 0.5
    assert recipe.schedule.milestones == (10, 20)
    assert recipe.texture.patches == "random:16"
    assert recipe.network == {"arch": "rrdbnet", "nf": 32}


def test_weights_of_plugins_are_added_one_by_one_and_survive_toml() -> None:
    recipe = Recipe()
    assert merge(Recipe(), tomllib.loads(to_toml(recipe))) == recipe
    for text in ("loss.plugins.edges=0.5", "loss.plugins.other=2.0", "loss.plugins.edges=0.25"):
        recipe = merge(recipe, parse_setting(text))
    assert recipe.loss.plugins == {"edges": 0.25, "other": 2.0}
    assert merge(Recipe(), tomllib.loads(to_toml(recipe))) == recipe
    with pytest.raises(UsageError, match=r"loss\.plugins must have at least one name, and a number"):
        merge(recipe, parse_setting("loss.plugins.edges=much"))


def test_a_table_given_key_by_key_replaces_the_recipes_with_all_of_them() -> None:
    taps = ("features.taps.conv1_2=0.5", "features.taps={conv2_2=1.0}", "features.taps.conv1_2=0.25")
    texts = (*taps, "loss.texture=0.5", "network.nf=8", "network.arch=ttsr")
    recipe = merge_all(load_recipe("photo-gan"), map(parse_setting, texts))
    assert recipe.features.taps == {"conv1_2": 0.25, "conv2_2": 1.0}
    assert recipe.loss.texture == 0.5
    assert recipe.features.extractor == load_recipe("photo-gan").features.extractor
    assert recipe.network == {"arch": "ttsr"}


def test_another_architecture_drops_the_hyperparameters_of_the_old_one() -> None:
    recipe = merge(Recipe(), {"network": {"arch": "rrdbnet", "gc": 16}})
    assert merge(recipe, {"network": {"arch": "compact"}}).network == {"arch": "compact"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("loss.textur=1", ["loss.textur", "loss.texture"]),
        ("los.texture=1", ["los", "loss"]),
        ("steps=many", ["steps", "whole number"]),
        ("steps=1.5", ["steps", "whole number"]),
        ("texture.centered=1", ["texture.centered", "true or false"]),
        ("mask.mode=round", ["mask.mode", "grid", "sliding"]),
        ("loss=1", ["loss", "table"]),
        ("data.hr_dir=photos", ["data.hr_dir", "list"]),
        ("texture", ["key=value"]),
        ("network=compact", ["network", "table", "network.arch"]),
        ("log_every=0", ["log_every", "at least 1"]),
        ("optimizer.accumulate=0", ["optimizer.accumulate", "at least 1"]),
        ("seed=-1", ["seed", "from 0 to 4294967295"]),
        ("seed=4294967296", ["seed", "from 0 to 4294967295"]),
        ("compute.threads=-1", ["compute.threads", "at least 0"]),
        ("data.hr_crop=0", ["data.hr_crop", "at least 1"]),
        ("optimizer.rate=-1", ["optimizer.rate", "at least 0"]),
        ("optimizer.rate=nan", ["optimizer.rate", "at least 0"]),
        ("optimizer.rate=inf", ["optimizer.rate", "at least 0"]),
        ("optimizer.beta1=1", ["optimizer.beta1", "at least 0 and less than 1"]),
        ("optimizer.ema=1.0", ["optimizer.ema", "less than 1"]),
        ("loss.content=-1", ["loss.content", "at least 0"]),
        ("mask.cell=0", ["mask.cell", "at least 1"]),
        ("discriminator.jitter=-1", ["discriminator.jitter", "at least 0"]),
        ("degradation.share=1.5", ["degradation.share", "from 0 to 1"]),
        ("degradation.quality=200", ["degradation.quality", "from 1 to 97"]),
        ("degradation.shrink=2", ["degradation.shrink", "from 0.05 to 1"]),
        ("features.taps={}", ["features.taps", "at least one name"]),
        ('features.taps={conv1_1="a"}', ["features.taps", "a number"]),
        ("network.arch=5", ["network.arch", "text"]),
    ],
)
def test_a_wrong_setting_is_named(setting: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        merge(Recipe(), parse_setting(setting))
    assert all(word in str(error.value) for word in words)


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(GramganError, match="psnr"):
        load_recipe("pnsr")


def test_a_broken_user_recipe_is_named_and_does_not_affect_others(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GRAMGAN_DATA", str(tmp_path))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "latin.toml").write_bytes(b'summary = "\xe9t\xe9"\n')
    assert load_recipe("psnr").name == "psnr"
    with pytest.raises(GramganError, match="recipe latin can't be read"):
        load_recipe("latin")
    with pytest.raises(GramganError, match=r"latin\.toml can't be read"):
        load_recipe(str(tmp_path / "recipes" / "latin.toml"))


def test_differences_are_dotted_keys() -> None:
    recipe = Recipe()
    changed = merge(recipe, {"steps": 7, "loss": {"texture": 2.0}, "network": {"nf": 8}})
    assert differences(recipe, changed) == ["loss.texture", "network.nf", "steps"]


def test_method_is_what_differs_from_the_defaults_but_no_paths() -> None:
    changes = {
        "steps": 7,
        "compute": {"threads": 3},
        "data": {"hr_dir": ["/home/me/photos"]},
        "texture": {"db": "/home/me/bank.safetensors", "patch_size": 8},
        "loss": {"frequency": 10.0, "colours": "ycbcr"},
        "features": {"taps": {"conv1_1": 1.0}},
    }
    assert method(merge(Recipe(), changes)) == {
        "features.taps.conv1_1": 1.0,
        "loss.colours": "ycbcr",
        "loss.frequency": 10.0,
        "texture.patch_size": 8,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"jitter": 128}}, "features.jitter"),
        (
            {
                "loss": {"sharpened": True, "spectrum": 0.0, "excess": 0.0},
                "data": {"hr_crop": 24},
                "features": {"jitter": 0},
            },
            "sharpened",
        ),
        ({"discriminator": {"arch": "unet", "jitter": 6}, "loss": {"adversarial": 0.02}}, "multiple of 8"),
    ],
)
def test_crops_that_a_perceptual_recipe_can_t_take_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GramganError, match=message):
        check_recipe(merge(load_recipe("photo-gan"), changes))
