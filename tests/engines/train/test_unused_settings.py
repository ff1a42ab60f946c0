"""Settings that a run makes no use of are errors; settings that it uses are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from train_photos import blurred_noise
from typer.testing import CliRunner

from gramgan_cli.cli.app import app
from gramgan_cli.core.errors import UsageError
from gramgan_cli.engines.train.unused_settings import check_settings
from gramgan_cli.recipes.convert import merge, parse_setting
from gramgan_cli.recipes.load import load_recipe

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


def test_the_bank_is_named_by_its_option(tmp_path: Path) -> None:
    photos = blurred_noise(tmp_path / "photos", 3, (64, 64), 8)
    bank = tmp_path / "bank.safetensors"
    words = ["train", "--recipe", "psnr", "--hr-dir", str(photos), "--db", str(bank), "--dry-run"]
    result = CliRunner().invoke(app, words, catch_exceptions=True)
    assert isinstance(result.exception, UsageError)
    assert result.exception.message == "`db` has no effect in this run."
