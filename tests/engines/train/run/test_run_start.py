"""Before the first step: initial weights and the note about them, the model's name, errors."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from train_photos import blurred_noise
from typer.testing import CliRunner, Result

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.header import WeightsHeader, read_header, save_weights
from gramgan_cli.engines.train.callbacks import TrainCallbacks
from gramgan_cli.engines.train.launch import train
from gramgan_cli.engines.train.options import DEFAULT_RECIPE, TrainOptions
from gramgan_cli.engines.train.resolve import resolve_recipe
from gramgan_cli.recipes.convert import to_toml
from gramgan_cli.recipes.load import load_recipe

NETWORK = {"arch": "compact", "nf": 8, "nc": 2}
SMALL: dict[str, Any] = {
    "network": NETWORK,
    "steps": 1,
    "batch_size": 2,
    "data": {"hr_crop": 32},
    "compute": {"threads": 1},
}
TINY = ["--arch", "compact", "--set", "network.nf=8", "--set", "network.nc=2", "--batch-size", "2", "--hr-crop", "32"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return blurred_noise(tmp_path / "photos", 3, (96, 72), by=3)


class Notes(TrainCallbacks):
    """Collects the notes of a run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_note(self, text: str) -> None:
        self.lines.append(text)


def run(photos: Path, out: Path, recipe: str = "psnr", store_it: bool = True, **changes: Any) -> list[str]:
    notes = Notes()
    settings = [SMALL, {"data": {"hr_dir": [str(photos)]}}, changes]
    train(TrainOptions(recipe=recipe, settings=settings, out=out, device="cpu", store=store_it), lambda: notes)
    return notes.lines


def weights(path: Path, licence: str = "Apache-2.0", **training: Any) -> Path:
    torch.manual_seed(3)
    hyperparameters = {key: value for key, value in NETWORK.items() if key != "arch"}
    metrics = {"validation": {"psnr_y": 9.72, "ssim_y": 0.1}}
    header = WeightsHeader("compact", hyperparameters, 4, licence, training=training, metrics=metrics)
    save_weights(path, archs.build("compact", hyperparameters).state_dict(), header)
    return path


def command(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def test_a_run_reports_its_initial_weights(photos: Path, tmp_path: Path) -> None:
    assert "Starts from random weights." in run(photos, tmp_path / "a")
    init = weights(tmp_path / "three.safetensors", recipe="psnr", steps=3, init={"steps": 1200, "init": "random"})
    assert "Starts from 'three': 1 203 steps, 9.7 dB." in run(photos, tmp_path / "b", init=str(init))


@pytest.mark.parametrize("licence", ["Apache-2.0", "unknown"])
def test_fine_tuned_weights_keep_the_licence_of_their_start(licence: str, photos: Path, tmp_path: Path) -> None:
    init = weights(tmp_path / "start.safetensors", licence)
    run(photos, tmp_path / "tuned", init=str(init))
    for name in ("last", "best_psnr"):
        assert read_header(tmp_path / "tuned" / f"{name}.safetensors").licence == licence
    options = TrainOptions(recipe="psnr", settings=[{"steps": 2}], out=tmp_path / "tuned", resume=True, device="cpu")
    train(options, TrainCallbacks)
    assert read_header(tmp_path / "tuned" / "last.safetensors").licence == licence


@pytest.mark.parametrize("other", ["photo-gan", DEFAULT_RECIPE])
def test_a_run_is_not_continued_under_another_recipe_s_name(other: str, photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "r")
    options = TrainOptions(recipe=other, out=tmp_path / "r", resume=True, device="cpu")
    with pytest.raises(UsageError, match=f"follows the recipe psnr, not {other}"):
        train(options, TrainCallbacks)


def test_an_empty_name_is_not_the_default_recipe(photos: Path) -> None:
    """Such as that of a shell's variable that was never set."""
    with pytest.raises(GramganError, match="There is no recipe ''"):
        resolve_recipe(TrainOptions(recipe="", settings=[{"data": {"hr_dir": [str(photos)]}}]))


def test_a_run_goes_on_without_its_recipe_s_name(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "r")
    options = TrainOptions(settings=[{"steps": 2}], out=tmp_path / "r", resume=True, device="cpu")
    assert train(options, TrainCallbacks).steps == 2


@pytest.mark.parametrize("named", ["mine", "mine.toml"])
def test_a_run_of_the_users_own_recipe_goes_on(
    named: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may state the name of the recipe that it was copied from."""
    monkeypatch.setenv("GRAMGAN_DATA", str(tmp_path / "data"))
    (tmp_path / "data/recipes").mkdir(parents=True)
    (tmp_path / "data/recipes/mine.toml").write_text(to_toml(load_recipe("psnr")), encoding="utf-8")
    run(photos, tmp_path / "r")
    recipe = str(tmp_path / "data/recipes/mine.toml") if named.endswith("toml") else named
    options = TrainOptions(recipe=recipe, settings=[{"steps": 2}], out=tmp_path / "r", resume=True, device="cpu")
    assert train(options, TrainCallbacks).steps == 2


def test_weights_from_nothing_have_no_licence_that_nobody_gave(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "own")
    assert read_header(tmp_path / "own" / "last.safetensors").licence == "unknown"


def test_a_run_never_replaces_another_model(photos: Path, tmp_path: Path) -> None:
    before = store.put("mine", weights(tmp_path / "imported.safetensors"))
    lines = run(photos, tmp_path / "mine")
    assert any("--model mine-2" in line for line in lines)
    assert store.get("mine") == before
    first = store.get("mine-2")
    train(
        TrainOptions(recipe="psnr", settings=[{"steps": 2}], out=tmp_path / "mine", resume=True, device="cpu"),
        TrainCallbacks,
    )
    assert store.find("mine-3") is None
    assert store.get("mine-2").sha256 != first.sha256  # its own model, trained further, is replaced


def test_no_store_keeps_a_run_out_of_the_store(photos: Path, tmp_path: Path) -> None:
    before = store.stored_models()
    run(photos, tmp_path / "swept", store_it=False)
    assert store.stored_models() == before


def test_the_default_folder_gives_a_model_name_of_its_own(photos: Path, tmp_path: Path) -> None:
    """The recipe photo has the name of a built-in model, which runs may not use."""
    options = TrainOptions(recipe="photo", settings=[SMALL, {"data": {"hr_dir": [str(photos)]}, "init": "none"}])
    assert resolve_recipe(options)[1].path == Path("runs/my-photo")
    assert resolve_recipe(TrainOptions(recipe="psnr", settings=options.settings))[1].path == Path("runs/psnr")


def test_stored_weights_with_far_too_few_steps_need_init(photos: Path, tmp_path: Path) -> None:
    store.put("short", weights(tmp_path / "short.safetensors", losses=["content"], steps=3))
    wanted = {"stage": "psnr", "stage_steps": 1000}
    with pytest.raises(UsageError, match=r"'short': 3 steps, 9\.7 dB, far fewer than the 1000 steps") as error:
        run(photos, tmp_path / "r", **wanted)
    assert "`init` short" in str(error.value)
    assert not (tmp_path / "r").exists()
    assert "Starts from 'short': 3 steps, 9.7 dB." in run(
        photos, tmp_path / "r", store_it=False, init="short", **wanted
    )
    wanted["stage_steps"] = 300
    assert "Starts from 'short': 3 steps, 9.7 dB." in run(photos, tmp_path / "s", **wanted)


@pytest.mark.parametrize(("key", "value"), [("scale", 2), ("nf", 16), ("gc", 8)])
def test_network_settings_that_differ_from_the_initial_weights_are_refused(
    key: str, value: int, photos: Path, tmp_path: Path
) -> None:
    """Hyperparameters that differ from the initial weights, or that their network lacks, are not silently dropped."""
    init = weights(tmp_path / "start.safetensors")
    words = ["--init", init, "--set", f"network.{key}={value}", "--hr-dir", photos, "--hr-crop", 32, "--steps", 1]
    result = command("train", "--recipe", "psnr", *words, "--device", "cpu", "--out", tmp_path / "r")
    assert isinstance(result.exception, UsageError)
    assert f"network.{key}={value}" in str(result.exception)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("recipe", "hint"),
    [
        ("ttsr-rec", "features.weights=random"),
        ("ttsr", "features.weights=random"),
        ("srresnet-res18-4", "`recipe` srresnet"),
        ("srresnet-mse-vgg", "loss.perceptual=0"),
        ("esrgan", "loss.perceptual=0"),
    ],
)
def test_missing_feature_weights_come_with_a_hint_that_helps(
    recipe: str, hint: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    words = ["--recipe", recipe, "--hr-dir", photos, "--device", "cpu", "--out", tmp_path / "r", "--init", "none"]
    result = command("train", *words)
    assert isinstance(result.exception, GramganError)
    assert re.search(r"put it at \S+\.pth\.", str(result.exception))
    assert hint in str(result.exception)
    assert not (tmp_path / "r").exists()


def test_messages_lead_from_build_db_to_training_without_gpu_and_internet(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message names a next command, and the commands are followed to the end."""
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.chdir(tmp_path)
    for name, words in (
        ("DIV2K", ["build-db", "--max-patches", 200, "--hr-dir"]),
        ("Set5", ["bench", "-m", "bicubic"]),
    ):
        missing = command(*words, name)
        advised = re.search(r"put its images into (\S+),", str(missing.exception))
        assert advised is not None
        shutil.copytree(photos, advised[1])
        assert command(*words, name).exception is None
    Path(os.environ["GRAMGAN_DATA"], "bank.safetensors").unlink()
    Image.new("RGB", (24, 20)).save("photo.png")
    assert command("upscale", "photo.png").exception is None
    assert Image.open("photo_x4.png").size == (96, 80)
    gpus = command("train", "--gpus", "0,1")
    assert "gramgan train --recipe gramgan-compact --hr-dir DIR" in str(gpus.exception)
    words = ["--recipe", "gramgan-compact", "--hr-dir", photos]
    bank = command("train", *words)
    assert "gramgan build-db --hr-dir DIR" in str(bank.exception)
    assert command("build-db", "--hr-dir", photos, "--max-patches", 200).exception is None
    trained = command("train", *words, "--steps", 1, "--batch-size", 1, "--out", "runs/mine")
    assert trained.exception is None, trained.output
    assert "Starts from 'clean'" in trained.output


def test_json_is_one_event_a_line_with_the_result_last(photos: Path, tmp_path: Path) -> None:
    words = ["--recipe", "psnr", "--hr-dir", photos, "--out", tmp_path / "r", "--device", "cpu", "--steps", 2, *TINY]
    result = command("train", *words, "--json", "--set", "log_every=1")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["step"] for event in events if event["event"] == "metrics" and "loss.content" in event] == [1, 2]
    assert events[-1] == {
        "event": "result",
        "steps": 2,
        "finished": True,
        "weights": str(tmp_path / "r" / "last.safetensors"),
    }
    assert {"note", "begin", "end"} <= {event["event"] for event in events}


def test_epochs_are_passes_over_the_photos(photos: Path, tmp_path: Path) -> None:
    """Three photos, one held out: three epochs of two crops, with two crops per step, are three steps."""
    settings = [SMALL, {"data": {"hr_dir": [str(photos)]}, "epochs": 3.0}]
    recipe, _ = resolve_recipe(TrainOptions(recipe="psnr", settings=settings, out=tmp_path / "r"))
    assert recipe.steps == 3
    train(TrainOptions(recipe="psnr", settings=settings, out=tmp_path / "r", device="cpu"), TrainCallbacks)
    longer = TrainOptions(recipe="psnr", settings=[{"epochs": 5.0}], out=tmp_path / "r", resume=True)
    assert resolve_recipe(longer)[0].steps == 5
    file = tmp_path / "passes.toml"
    file.write_text("epochs = 5.0\n")
    chosen = [SMALL, {"data": {"hr_dir": [str(photos)]}}, {"steps": 7}]
    assert resolve_recipe(TrainOptions(recipe=str(file), settings=chosen, out=tmp_path / "q"))[0].steps == 7
    both = command("train", "--steps", 1, "--epochs", 1, "--hr-dir", photos)
    assert "can't be combined" in str(both.exception)


def test_given_pairs_are_trained_and_measured_on(photos: Path, tmp_path: Path) -> None:
    """The given LR is inverted, so that a network that copies its input measures as far from HR."""
    for photo in sorted(photos.iterdir()):
        lr = Image.open(photo).resize((24, 18), Image.Resampling.BICUBIC).point(lambda level: 255 - level)
        (tmp_path / "lr" / "X4").mkdir(parents=True, exist_ok=True)
        lr.save(tmp_path / "lr" / "X4" / f"{photo.stem}x4.png")
    words = [
        "--recipe",
        "psnr",
        "--hr-dir",
        photos,
        "--device",
        "cpu",
        "--steps",
        1,
        *TINY,
        "--set",
        "optimizer.rate=0.0",
    ]
    given = command("train", *words, "--lr-dir", tmp_path / "lr", "--out", tmp_path / "given")
    assert given.exception is None, given.output
    assert "2 photos with given LR; 1 held out" in given.output
    assert command("train", *words, "--out", tmp_path / "made").exception is None
    values = [
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])["psnr_y"]
        for name in ("given", "made")
    ]
    assert values[0] != values[1]
    validated = ["--lr-dir", tmp_path / "lr", "--valid-dir", photos, "--valid-lr-dir", tmp_path / "lr"]
    result = command("train", *words, *validated, "--out", tmp_path / "validated")
    assert result.exception is None, result.output
    assert "(given LR)" in result.output
    measured = json.loads((tmp_path / "validated" / "metrics.jsonl").read_text().splitlines()[-1])["psnr_y"]
    assert measured < values[1] - 1, "the given LR is inverted"
    degraded = ["--set", "degradation.share=1.0", "--lr-dir", tmp_path / "lr", "--out", tmp_path / "degraded"]
    assert command("train", *words, *degraded).exception is None


def test_bank_photos_are_the_training_photos(photos: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank.safetensors"
    built = command("build-db", "--hr-dir", photos, "--out", bank, "--max-patches", 100, "--json")
    assert built.exception is None, built.output
    sampled = {photo["name"] for photo in json.loads(built.stdout)["photos"]}
    changes = {"loss": {"texture": 1.0}, "texture": {"db": str(bank)}}
    lines = run(photos, tmp_path / "r", **changes)
    assert sampled == {"0.png", "2.png"}
    assert not any("bank contains patches" in line for line in lines)
    whole = ["--hr-dir", photos, "--valid-dir", photos, "--out", bank, "--max-patches", 100, "--overwrite"]
    assert command("build-db", *whole).exception is None
    lines = run(photos, tmp_path / "s", **changes)
    assert any("bank contains patches of 1 of the validation photos" in line for line in lines)


def test_a_bank_whose_photos_are_gone_asks_for_them(photos: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank.safetensors"
    assert command("build-db", "--hr-dir", photos, "--out", bank, "--max-patches", 100).exception is None
    photos.rename(tmp_path / "moved")
    words = ["--recipe", "gramgan-compact", "--db", bank, "--device", "cpu", "--dry-run"]
    result = command("train", *words)
    assert f"no longer in {photos}" in str(result.exception)
    assert "`hr_dir` DIR" in str(result.exception)
    assert command("train", *words, "--hr-dir", tmp_path / "moved").exception is None


def test_a_dry_run_misses_a_file_of_feature_weights_as_a_run_does(photos: Path, tmp_path: Path) -> None:
    words = ["--recipe", "clean-gan", "--hr-dir", photos, "--out", tmp_path / "run", "--device", "cpu"]
    missing = [*words, "--set", "features.weights=nothere.safetensors"]
    errors = [str(command("train", *missing, *more).exception) for more in ([], ["--dry-run"])]
    assert "There is no file of feature weights nothere.safetensors" in errors[0]
    assert errors[0] == errors[1]
    assert command("train", *words, "--set", "features.weights=random", "--dry-run").exception is None


def test_cufed5_is_a_validation_set_with_its_references(photos: Path, tmp_path: Path, private_folders: Path) -> None:
    """It is found by name in the data folder; only the inputs are measured, each with its own reference."""
    rng = np.random.default_rng(1)
    folder = private_folders / "data" / "CUFED5"
    folder.mkdir(parents=True)
    for number in ("000", "001"):
        for position in range(6):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}_{position}.png")
    network = {"arch": "ttsr", "nf": 4, "blocks": [1, 1, 1, 1]}
    changes = {"network": network, "features": {"weights": "random"}, "data": {"hr_crop": 48, "valid_dir": "cufed5"}}
    lines = run(photos, tmp_path / "r", recipe="ttsr-rec", store_it=False, **changes)
    assert f"3 photos; validated on the 2 of {folder} with their references." in lines
    assert json.loads((tmp_path / "r" / "metrics.jsonl").read_text().splitlines()[-1])["psnr_y"] > 0


def test_missing_cufed5_can_not_be_downloaded() -> None:
    result = command("bench", "CUFED5", "--model", "bicubic")
    assert "zzutk.github.io" in str(result.exception)
    assert "data pull" not in str(result.exception)


def test_a_run_does_not_go_on_with_other_photos(photos: Path, tmp_path: Path) -> None:
    """Another photo would move the held-out one, and with it a photo that was trained on into validation."""
    settings = [SMALL, {"data": {"hr_dir": [str(photos)]}, "steps": 1}]
    train(TrainOptions(recipe="psnr", settings=settings, out=tmp_path / "r", device="cpu"), TrainCallbacks)
    another = sorted(photos.iterdir())[0]
    shutil.copy(another, photos / f"zz{another.suffix}")
    further = TrainOptions(recipe="psnr", settings=[{"steps": 2}], out=tmp_path / "r", device="cpu", resume=True)
    with pytest.raises(GramganError, match="not those that this run began with"):
        train(further, TrainCallbacks)
    (photos / f"zz{another.suffix}").unlink()
    assert train(further, TrainCallbacks).steps == 2


def test_a_run_does_not_go_on_with_another_bank(photos: Path, tmp_path: Path) -> None:
    """A bank that was built anew has other textures under the same name. The same settings give the same bank."""
    bank = tmp_path / "bank.safetensors"

    def build(count: int) -> None:
        words = ["--hr-dir", photos, "--out", bank, "--max-patches", count, "--overwrite"]
        assert command("build-db", *words).exception is None

    build(100)
    run(photos, tmp_path / "r", loss={"texture": 1.0}, texture={"db": str(bank)})
    further = TrainOptions(recipe="psnr", settings=[{"steps": 2}], out=tmp_path / "r", device="cpu", resume=True)
    build(90)
    with pytest.raises(GramganError, match=r"bank\.safetensors is not the one that this run began with"):
        train(further, TrainCallbacks)
    build(100)
    assert train(further, TrainCallbacks).steps == 2
