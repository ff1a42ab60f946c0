"""Settings that a run makes no use of are errors; settings that it uses are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train.options import TrainOptions
from gramgan_cli.engines.train.resolve import resolve_recipe
from gramgan_cli.engines.train.unused_settings import check_file, check_settings
from gramgan_cli.recipes.convert import merge, nested, parse_setting, to_toml
from gramgan_cli.recipes.load import load_recipe, read_recipe, recipe_names

UNUSED = [
    ("psnr", "discriminator.nf=32", "discriminator.arch"),
    ("psnr", "optimizer.discriminator_rate=1e-3", "discriminator.arch"),
    ("psnr", "loss.adversarial_form=gan", "discriminator.arch"),
    ("psnr", "mask.mode=grid", "discriminator.arch"),
    ("esrgan", "mask.cell=7", "mask.mode"),
    ("psnr", "features.jitter=8", "loss.perceptual"),
    ("psnr", "texture.alpha=0.25", "loss.texture"),
    ("psnr", "degradation.noise=3.0", "degradation.share"),
    ("photo-web", "degradation.severity=0.5", "degradation.model"),
    ("psnr", "schedule.milestones=[10]", "schedule.shape"),
    ("psnr", "optimizer.extractor_rate=1e-3", "TTSR"),
    ("psnr", "data.window=77", "tar shards"),
    ("psnr", "data.crops_per_photo=77", "tar shards"),
    ("psnr", "stage_steps=50", "first stage"),
    ("srgan", "schedule.factor=0.3", "schedule.milestones"),
]

USED = [
    ("photo-gan", "discriminator.nf=32"),
    ("gramgan", "mask.cell=7"),
    ("photo-gan", "features.jitter=8"),
    ("gramgan", "texture.alpha=0.25"),
    ("photo-gan", "degradation.severity=0.5"),
    ("psnr", "discriminator.penalty=0"),
    ("psnr", "degradation.share=0.5"),
]


@pytest.mark.parametrize(("recipe", "setting", "hint"), UNUSED)
def test_an_unused_setting_is_named(recipe: str, setting: str, hint: str) -> None:
    change = parse_setting(setting)
    with pytest.raises(UsageError, match=setting.partition("=")[0]) as caught:
        check_settings([change], merge(load_recipe(recipe), change))
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(("recipe", "setting"), USED)
def test_a_used_setting_is_accepted(recipe: str, setting: str) -> None:
    change = parse_setting(setting)
    check_settings([change], merge(load_recipe(recipe), change))


@pytest.mark.parametrize("name", recipe_names())
def test_built_in_recipes_state_only_what_they_use(name: str) -> None:
    recipe = load_recipe(name)
    check_file(read_recipe(name), recipe, recipe)


MASKED = "[network]\narch = 'compact'\nnc = 2\n[mask]\nmode = 'grid'\n"


def resolved_file(path: Path, text: str, *settings: str) -> None:
    path.write_text(text)
    photos = blurred_noise(path.parent / "photos", 3, (64, 64), 8)
    changes = [parse_setting(setting) for setting in settings]
    resolve_recipe(
        TrainOptions(
            recipe=str(path), out=path.parent / "run", settings=(nested("data.hr_dir", [str(photos)]), *changes)
        )
    )


def test_an_unused_key_of_a_recipe_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^mask\.mode of the recipe mine has no effect\.") as caught:
        resolved_file(tmp_path / "mine.toml", MASKED)
    assert "discriminator.arch" in str(caught.value.hint)


def test_a_setting_may_make_use_of_a_files_key(tmp_path: Path) -> None:
    resolved_file(tmp_path / "mine.toml", MASKED, "discriminator.arch=unet", "loss.adversarial=0.1")


def test_a_setting_may_turn_off_what_a_file_describes(tmp_path: Path) -> None:
    described = MASKED + "[discriminator]\narch = 'unet'\n[loss]\nadversarial = 0.1\n"
    resolved_file(tmp_path / "mine.toml", described, "discriminator.arch=none", "loss.adversarial=0")


def test_the_record_of_a_run_is_a_recipe(tmp_path: Path) -> None:
    turned_off = load_recipe("photo-gan")
    for change in ("discriminator.arch=none", "discriminator.penalty=0", "loss.adversarial=0", "stage="):
        turned_off = merge(turned_off, parse_setting(change))
    resolved_file(tmp_path / "recipe.toml", to_toml(turned_off))


def test_the_bank_is_named_by_its_option(tmp_path: Path) -> None:
    photos = blurred_noise(tmp_path / "photos", 3, (64, 64), 8)
    bank = tmp_path / "bank.safetensors"
    words = ["train", "--recipe", "psnr", "--hr-dir", str(photos), "--db", str(bank), "--dry-run"]
    result = CliRunner().invoke(app, words, catch_exceptions=True)
    assert isinstance(result.exception, UsageError)
    assert result.exception.message == "`db` has no effect in this run."
