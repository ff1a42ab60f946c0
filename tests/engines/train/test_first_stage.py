"""The first stage of GAN training: settings that it shares with the run, and resuming it."""

from __future__ import annotations

from pathlib import Path

import pytest
from train_photos import blurred_noise

from gramgan_cli.core.errors import UsageError
from gramgan_cli.core.weights.header import read_header
from gramgan_cli.engines.data.bank import build_bank
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.launch import plan, train
from gramgan_cli.engines.train.options import TrainOptions
from gramgan_cli.engines.train.resolve import resolve_recipe
from gramgan_cli.engines.train.run.run_folder import RunFolder
from gramgan_cli.engines.train.warm_start import FIRST_STAGE_END, first_stage, with_start
from gramgan_cli.recipes.convert import merge
from gramgan_cli.recipes.load import load_recipe

SETTINGS = {
    "network": {"arch": "compact", "nf": 8, "nc": 2},
    "loss": {"perceptual": 0.0},
    "discriminator": {"nf": 4},
    "stage_steps": 3,
    "steps": 1,
    "save_every": 1,
    "batch_size": 2,
    "compute": {"threads": 1},
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return blurred_noise(tmp_path / "photos", 3, (90, 72), by=3)


class Cut(Exception):
    """Simulates a power cut."""


class CutAtTwo(TrainCallbacks):
    """Interrupts the run after its second step, before that is saved."""

    def on_step(self, done: int) -> None:
        if done == 2:
            raise Cut


def test_a_first_stage_that_was_cut_off_goes_on_however_its_folder_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tmp_path / "bank.safetensors"
    build_bank(photos, bank, max_patches=100)
    data = {"data": {"hr_dir": [str(photos)], "hr_crop": 32}, "texture": {"db": str(bank)}}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Cut):
        train(TrainOptions(recipe="gramgan", settings=[SETTINGS | data], out=Path("run"), device="cpu"), CutAtTwo)
    assert read_header(tmp_path / "run/content/last.safetensors").training["steps"] == 1
    Path("run").rename("moved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = train(
        TrainOptions(recipe="gramgan", settings=(), out=tmp_path / "moved", resume=True, device="cpu"), TrainCallbacks
    )
    assert result.finished
    assert read_header(tmp_path / "moved/content/last.safetensors").training["steps"] == 3
    assert read_header(tmp_path / "moved/last.safetensors").training["init"]["steps"] == 3


def test_intervals_and_accumulation_apply_to_both_stages() -> None:
    recipe = merge(
        load_recipe("gramgan"),
        {"valid_every": 7, "save_every": 5, "log_every": 3, "optimizer": {"accumulate": 4, "rate": 0.5}},
    )
    stage, _ = first_stage(recipe, RunFolder(Path("run")))
    assert (stage.valid_every, stage.save_every, stage.log_every, stage.optimizer.accumulate) == (7, 5, 3, 4)
    assert stage.optimizer.rate == load_recipe(recipe.stage).optimizer.rate


def test_init_first_stage_is_refused_without_a_first_stage() -> None:
    with pytest.raises(UsageError, match="no first stage"):
        with_start(merge(load_recipe("psnr"), {"init": FIRST_STAGE_END}))


@pytest.mark.parametrize("dry", [True, False])
def test_a_first_stage_that_can_not_run_is_refused_before_anything_is_written(tmp_path: Path, dry: bool) -> None:
    """The stage of `student` damages its photos, which grey networks don't allow."""
    photos = blurred_noise(tmp_path / "photos", 3, (64, 64), 8)
    settings = {
        "network": {"in_nc": 1, "out_nc": 1},
        "data": {"hr_dir": [str(photos)], "hr_crop": 32},
        "loss": {"perceptual": 0.0},
        "init": "first stage",
    }
    options = TrainOptions(recipe="student", settings=[settings], out=tmp_path / "run", store=False)
    with pytest.raises(UsageError, match=r"The first stage, photo, can't run\. Damage needs colour photos"):
        plan(*resolve_recipe(options), options) if dry else train(options, TrainCallbacks)
    assert not (tmp_path / "run").exists()
